"""The one walk through a data folder: its folders, the image files in each, and their sizes and times."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from trainables.errors import InputError

IMAGE_TYPES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
"""Endings of the files that are read, in either case; files of other types, and hidden ones, are left alone."""

_GLANCE_FOLDERS = 500
_GLANCE_ENTRIES = 2_000
"""A quick look opens so many folders, and reads so many names in each: a folder of a million images costs no more."""


class File(NamedTuple):
    """An image file: its path below the root with forward slashes, bytes, and nanoseconds since 1970."""

    path: str
    bytes: int
    modified: int


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder of a walk.

    Attributes:
        root: where the walk began.
        path: below the root, with forward slashes; blank for the root itself.
        images: names of its image files, in order.
        folders: how many folders it has, links to folders counted.
        same_as: for a link to a folder that has come already: that folder's path. Its images count there, so this one
            has none, and no folders. None for any other folder.
    """

    root: str
    path: str
    images: list[str]
    folders: int
    same_as: str | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the folders from the root down to this one."""
        return tuple(self.path.split("/")) if self.path else ()

    def files(self) -> Iterator[File]:
        """Its image files; one that cannot be found (a broken link) has 0 bytes, so that it is missed by name later."""
        prefix = f"{self.path}/" if self.path else ""
        for name in self.images:
            path = prefix + name
            try:
                status = os.stat(f"{self.root}/{path}")  # noqa: PTH116 (a million times)
            except OSError:
                yield File(path, 0, 0)
                continue
            if stat.S_ISREG(status.st_mode):
                yield File(path, status.st_size, status.st_mtime_ns)


def walk(root: Path) -> Iterator[Folder]:
    """Every folder from the root down, in an order that depends on names only; holds one folder's names at a time.

    Links to folders are followed after all else, each real folder once: loops end, and a folder that is also reached
    without a link counts where it really is.

    Raises:
        InputError: the root or a folder cannot be read; the name of a folder or image is not UTF-8.
    """
    seen: dict[tuple[int, int], str] = {}
    waiting, linked = [""], deque[str]()
    while waiting or linked:
        path = waiting.pop() if waiting else linked.popleft()
        place = f"{root}/{path}" if path else str(root)
        try:
            status = os.stat(place)  # noqa: PTH116
            before = seen.get((status.st_dev, status.st_ino))
            if before is not None:
                if before and not path.startswith(f"{before}/"):  # else a loop
                    yield Folder(str(root), path, [], 0, same_as=before)
                continue
            images, folders, links = _names(place)
        except OSError as error:
            raise InputError("this folder cannot be read", where=place, value=error.strerror) from error
        seen[status.st_dev, status.st_ino] = path
        prefix = f"{path}/" if path else ""
        waiting += [prefix + name for name in reversed(folders)]
        linked += [prefix + name for name in links]
        yield Folder(str(root), path, images, len(folders) + len(links))


def _names(place: str) -> tuple[list[str], list[str], list[str]]:
    """Names of a folder's image files, of its folders and of its links to folders, each in order."""
    images: list[str] = []
    folders: list[str] = []
    links: list[str] = []
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _leads_to_folder(entry):
                (links if entry.is_symlink() else folders).append(entry.name)
            elif is_image(entry.name):
                images.append(entry.name)
    for name in (*images, *folders, *links):
        _refuse_undecodable(name, place)
    return sorted(images), sorted(folders), sorted(links)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def is_image(name: str) -> bool:
    """Whether a file of this name is read."""
    return os.path.splitext(name)[1].lower() in IMAGE_TYPES  # noqa: PTH122 (a million times)


def _refuse_undecodable(name: str, place: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        # No table of text could hold it, nor any message print it.
        fix = "rename it, for example with `convmv -t utf8`"
        where = place.encode(errors="backslashreplace").decode()
        raise InputError("a name that is not UTF-8", where=where, value=os.fsencode(name), fix=fix) from error


def glance(root: Path, depth: int) -> Iterator[tuple[str, ...]]:
    """Folders below the root by their names, the shallow ones first: a quick look, which may miss some of very many.

    Args:
        root: the data folder; nothing is found in one that cannot be read.
        depth: how many levels down.
    """
    waiting: deque[tuple[str, ...]] = deque([()])
    opened = 0
    while waiting and opened < _GLANCE_FOLDERS:
        parts = waiting.popleft()
        opened += 1
        below = [(*parts, name) for name in folder_names(Path(root, *parts), _GLANCE_ENTRIES)]
        yield from below
        waiting += below if len(parts) + 1 < depth else []


def folder_names(place: Path, most: int | None = None) -> list[str]:
    """Names of a folder's folders and links to folders, in order, hidden ones left out; none if it cannot be read.

    Args:
        place: the folder.
        most: how many entries are looked at; all if not given.
    """
    names: list[str] = []
    with suppress(OSError), os.scandir(place) as entries:
        names = [e.name for e in islice(entries, most) if not e.name.startswith(".") and e.is_dir()]
    return sorted(names)

"""Data sets that are trees of folders: what the folders above an image say of it, and checks of the tree as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from trainables.contract import FAKE, REAL
from trainables.errors import InputError
from trainables.indexing.found import Found
from trainables.indexing.walk import Folder, glance, walk

CLASS_FOLDERS = frozenset({"real", "fake", "0_real", "1_fake", "nature", "ai", "dm_generated", "gan_generated"})
"""Folders that say the class of what is in them, in lower case."""

PHOTOGRAPHS = frozenset(
    {"celeba", "celeba-hq", "celebahq", "coco", "ffhq", "flickr", "flickr30k", "forlab", "imagenet", "laion", "lsun"}
    | {"mscoco", "openimages", "raise", "vision", "train2014", "val2014", "train2017", "val2017"}
    | {"real", "reals", "0_real", "nature", "photos", "photographs"}
)
"""Folders that are named for photographs: never taken for a generator because nothing else is said."""


class Place(NamedTuple):
    """What the folders above an image say of it; the fields of that name in ``Found``."""

    label: int
    generator: str
    family: str = ""
    source: str = ""
    part: str = ""
    channel: str = ""
    partner: str = ""


PlaceOf = Callable[[tuple[str, ...]], Place | None]
"""What the images of a folder are, by the names from the root down to it; None: images don't belong there."""

GroupOf = Callable[[str, Place, str], str]
"""The group of an image, by its folder's path below the root, what that says, and the file's name."""


def scan_tree(root: Path, place_of: PlaceOf, *, tree: str, group_of: GroupOf | None = None) -> Iterator[Found]:
    """Every image of a tree, folder by folder in the order of their names.

    Args:
        root: the data folder.
        place_of, group_of: what the layout reads from names.
        tree: how the layout looks, in one line, for the messages.

    Raises:
        InputError: as ``walk``; there are no images, or none in a folder of a generator or class, or the folder is
            another's, through a link; images lie elsewhere; a source of real images and a generator have one name.
    """
    checks = _Checks(root, tree)
    for folder in walk(root):
        place = place_of(folder.parts)
        checks.see(folder, place)
        if place is None:
            continue
        said = place._asdict()
        for path, size, modified in folder.files():
            group = group_of(folder.path, place, path.rpartition("/")[2]) if group_of else ""
            yield Found(path=path, bytes=size, modified=modified, group=group, **said)
    checks.finish()


class _Checks:
    """What is wrong with a tree as a whole, gathered while it is scanned."""

    def __init__(self, root: Path, tree: str) -> None:
        self.root, self.tree = root, tree
        self.labels: dict[str, int] = {}
        self.empty: dict[str, str] = {}
        self.linked: dict[str, Folder] = {}
        self.outside, self.first = 0, ""

    def see(self, folder: Folder, place: Place | None) -> None:
        if place is None:
            if folder.images:
                self.first = self.first or f"{folder.path}/{folder.images[0]}".lstrip("/")
                self.outside += len(folder.images)
        elif folder.images:
            if self.labels.setdefault(place.generator, place.label) != place.label:
                problem = "a real source and a fake generator have one name"
                fix = "rename one: the name says which images are meant"
                raise InputError(problem, where=str(self.root), value=place.generator, fix=fix)
        elif folder.same_as is not None:
            self.linked.setdefault(place.generator, folder)
        elif not folder.folders:
            self.empty.setdefault(place.generator, folder.path)

    def finish(self) -> None:
        expected = f"this layout is {self.tree}"
        for generator, folder in self.linked.items():
            if generator not in self.labels:
                where = str(self.root / folder.path)
                fix = "an image counts once: remove the link, or copy the folder"
                raise InputError("two folders are one, through a link", where=where, value=folder.same_as, fix=fix)
        for generator, path in self.empty.items():
            if generator not in self.labels:
                where = str(self.root / path)
                raise InputError("no images in this folder", where=where, fix="add images, or remove it")
        if self.outside:
            problem = f"{self.outside} images lie outside the folders of the layout"
            fix = f"{expected}: move them there, or out of this folder"
            raise InputError(problem, where=str(self.root), value=self.first, fix=fix)
        if not self.labels:
            raise InputError("no images in this folder", where=str(self.root), fix=expected)


def family_of(generator: str, families: Iterable[tuple[str, re.Pattern[str]]]) -> str:
    """The family of a published generator by the name of its folder; blank if it is none of these."""
    return next((family for family, names in families if names.fullmatch(generator.lower())), "")


def with_own_reals(label: int, generator: str, part: str, family: str) -> Place:
    """The place of a generator's fakes, or of the reals that came with them: a source called ``<generator>-real``."""
    if label == FAKE:
        return Place(FAKE, generator, family=family, part=part)
    return Place(REAL, f"{generator}-real", part=part, partner=generator)


def is_bare(root: Path) -> bool:
    """Whether no folder of a tree, three levels down, is named for a class: then its names alone can't say it all."""
    return not any(parts[-1].lower() in CLASS_FOLDERS for parts in glance(root, 3))


def refuse_photographs(folder: str, root: Path, key: str) -> None:
    """A folder that is named for photographs is not a generator unless somebody says so.

    Args:
        folder: name of a folder that would be taken for a generator's.
        root: the data folder.
        key: the parameter of the layout that names folders of photographs.
    """
    if folder.lower() in PHOTOGRAPHS:
        fix = f"name it in `{key}` of the layout, or rename it if its images are fakes"
        raise InputError("this folder is named for photographs", where=str(root / folder), value=folder, fix=fix)

"""Which image files a data folder has, and the class and generator that each one's folder says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from trainables.errors import InputError

IMAGE_TYPES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
"""Endings of the files that are read, in either case; files of other types, and hidden ones, are left alone."""

LABELS = {"real": 0, "fake": 1}
_GROUPED_BY = {"real": "source", "fake": "generator"}


def scan(root: Path) -> pd.DataFrame:
    """One row a file, indexed by path and ordered by it: label, generator, bytes, modified.

    Raises:
        InputError: a class or generator without images, images in no generator's folder, one name for two folders.
    """
    rows = []
    for kind, label in LABELS.items():
        for generator in _generators(root, kind):
            files = [(path, file.stat()) for path, file in _image_files(generator)]
            if not files:
                raise InputError("no images in this folder", where=str(generator), fix="add images, or remove it")
            folder = f"{kind}/{generator.name}"
            rows += [(f"{folder}/{path}", label, generator.name, s.st_size, s.st_mtime_ns) for path, s in files]
    columns = ["path", "label", "generator", "bytes", "modified"]
    frame = pd.DataFrame(rows, columns=columns).set_index("path").sort_index()
    _refuse_shared_names(frame, root)
    return frame


def _generators(root: Path, kind: str) -> list[Path]:
    """The folders of one class: sources of real images, or fake generators."""
    folder = root / kind
    if not folder.is_dir():
        fix = "a data folder has real/<source>/ and fake/<generator>/; `orchestrator data make` makes one"
        raise InputError(f"no folder `{kind}` here", where=str(root), fix=fix)
    entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    if loose := [entry.name for entry in entries if entry.suffix.lower() in IMAGE_TYPES and entry.is_file()]:
        problem = f"{len(loose)} images are in no {_GROUPED_BY[kind]}'s folder"
        raise InputError(problem, where=str(folder), value=loose[0], fix=f"put them in {kind}/<{_GROUPED_BY[kind]}>/")
    found = [entry for entry in entries if entry.is_dir()]
    if not found:
        raise InputError("no images in this folder", where=str(folder), fix=f"add at least one folder to {kind}/")
    return found


def _image_files(folder: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Image files at any depth, by path below the folder; links to folders are followed, each real folder once."""
    seen: set[str] = set()
    waiting = [("", str(folder))]
    while waiting:
        prefix, path = waiting.pop()
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    waiting.append((f"{prefix}{entry.name}/", entry.path))
                elif os.path.splitext(entry.name)[1].lower() in IMAGE_TYPES:  # noqa: PTH122 (a million times)
                    yield prefix + entry.name, entry


def _refuse_shared_names(frame: pd.DataFrame, root: Path) -> None:
    labels = frame.groupby("generator")["label"].nunique()
    for name in labels.index[labels > 1]:
        fix = "rename one: the name says which images are meant"
        raise InputError("a real source and a fake generator have one name", where=str(root), value=name, fix=fix)

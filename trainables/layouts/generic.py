"""The project's own layout: a folder a source of real images, a folder a generator, and a table of what else is known.

::

    images/
        real/ffhq/00000.png            real/<source>/, any depth below
        real/coco/val2017/000139.jpg
        fake/stylegan2/seed0001.png    fake/<generator>/, any depth below
        manifest.csv                   optional: path,label,generator,family,source,group,split,channel

What the table says is checked against the folders; a blank cell, or a column that is not there, says nothing. Its
``split`` is one of the splits of a study (train, val, adapt, few, fusion, test).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trainables.contract import FAKE, REAL
from trainables.contract import Config as MemberConfig
from trainables.errors import InputError
from trainables.indexing.found import Found
from trainables.indexing.tree import Place, scan_tree
from trainables.indexing.walk import walk

LABELS = {"real": REAL, "fake": FAKE}
TABLE = "manifest.csv"
_TREE = "real/<source>/… and fake/<generator>/…"
_GROUPED_BY = {"real": "source", "fake": "generator"}


class Config(MemberConfig):
    """Nothing is left open: the folders and the table say it all."""


def recognises(root: Path) -> bool:
    """Whether there are folders ``real`` and ``fake``."""
    return all((root / kind).is_dir() for kind in LABELS)


def scan(config: Config, root: Path) -> Iterator[Found]:
    """Every image, with what its folders and the table say.

    Raises:
        InputError: as ``scan_tree`` and ``Table``; there is no folder ``real`` or ``fake``; images lie in none of a
            source or generator.
    """
    from trainables.indexing.table import Table

    del config
    for kind in LABELS:
        _refuse_without_generators(root, kind)
    table = Table(root / TABLE) if (root / TABLE).is_file() else None
    for found in scan_tree(root, _place, tree=_TREE):
        yield table.complete(found) if table else found
    if table:
        table.finish()


def _place(folders: tuple[str, ...]) -> Place | None:
    if len(folders) < 2 or folders[0] not in LABELS:
        return None
    return Place(LABELS[folders[0]], folders[1])


def _refuse_without_generators(root: Path, kind: str) -> None:
    folder = root / kind
    if not folder.is_dir():
        fix = "a data folder has real/<source>/ and fake/<generator>/; `orchestrator data make` makes one"
        raise InputError(f"no folder `{kind}` here", where=str(root), fix=fix)
    top = next(walk(folder))
    if top.images:
        problem = f"{len(top.images)} images are in no {_GROUPED_BY[kind]}'s folder"
        raise InputError(
            problem, where=str(folder), value=top.images[0], fix=f"put them in {kind}/<{_GROUPED_BY[kind]}>/"
        )
    if not top.folders:
        raise InputError("no images in this folder", where=str(folder), fix=f"add at least one folder to {kind}/")

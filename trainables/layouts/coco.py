"""COCO photographs, and beside them folders of images generated from their captions or categories.

::

    captions/
        train2017/000000248242.jpg               photographs: COCO's own folders, or coco/…
        sd21/fake_image_248242.jpg               every other folder is a generator, any depth below
        sd21-256px/256/fake_image_248242.png
        dcgan/generated_image_17.png

All photographs are one source, ``coco``. A photograph and the images made from its caption are one group: those whose
names have a photograph's number in them, at best in twelve digits, else as the longest number.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from trainables.contract import FAKE, REAL
from trainables.contract import Config as MemberConfig
from trainables.indexing.found import Found
from trainables.indexing.tree import PHOTOGRAPHS, Place, is_bare, refuse_photographs, scan_tree
from trainables.indexing.walk import folder_names, glance, walk

SOURCE = "coco"
_OWN = re.compile(r"(ms)?coco[-_]?(train|val|test)?[-_]?(2014|2017)?|(train|val|test|unlabeled)(2014|2015|2017)")
_TREE = "train2017/…, val2017/… or coco/…, and <generator>/…"


class Config(MemberConfig):
    """Which folders are photographs.

    Attributes:
        real: further folders of COCO photographs, beside those that have COCO's own names; in either case.
    """

    real: tuple[str, ...] = ()


def recognises(root: Path) -> bool:
    """Whether COCO's folders are beside others that are not named for a class or for other photographs."""
    names = {name.lower() for (name,) in glance(root, 1)}
    photographs = {name for name in names if _OWN.fullmatch(name)}
    return 0 < len(photographs) < len(names) and names & PHOTOGRAPHS <= photographs and is_bare(root)


def scan(config: Config, root: Path) -> Iterator[Found]:
    """Every image, in the group of its photograph.

    Raises:
        InputError: as ``scan_tree``; a folder of other than COCO's names is named for photographs.
    """
    further = {name.lower() for name in config.real}

    def is_real(folder: str) -> bool:
        return folder.lower() in further or bool(_OWN.fullmatch(folder.lower()))

    def place_of(folders: tuple[str, ...]) -> Place | None:
        if not folders:
            return None
        if is_real(folders[0]):
            return Place(REAL, SOURCE, source=SOURCE)
        refuse_photographs(folders[0], root, "real")
        return Place(FAKE, folders[0], source=SOURCE)

    photographs = {number for top in folder_names(root) if is_real(top) for number in _photographs(root / top)}

    def group_of(folder: str, place: Place, name: str) -> str:
        del folder, place
        return next((f"{SOURCE}-{number}" for number in _numbers(name) if number in photographs), "")

    yield from scan_tree(root, place_of, tree=_TREE, group_of=group_of)


def _photographs(folder: Path) -> Iterator[int]:
    """The numbers of COCO's photographs, which their files are named for."""
    for below in walk(folder):
        yield from (number for name in below.images for number in _numbers(name)[:1])


def _numbers(name: str) -> list[int]:
    """The numbers in a file's name: those of twelve digits first, then the longer ones, then the later ones."""
    runs = re.findall(r"\d+", PurePosixPath(name).stem)
    order = sorted(enumerate(runs), key=lambda item: (len(item[1]) == 12, len(item[1]), item[0]), reverse=True)
    return [int(run) for _, run in order]

"""A folder of FFHQ photographs, and beside it a folder a generator (VMR-2025).

::

    faces/
        FFHQ/00000/00000.png           photographs: the folders named in ``real``, in either case
        stylegan1/seed0000.png         every other folder is a generator, any depth below
        stylegan2/psi-0.5/seed0000.png

Nothing but ``real`` says what is a photograph, so a folder that is named for a well-known set of photographs (CelebA,
COCO, ImageNet…) is refused until it is named there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from trainables.contract import FAKE, REAL
from trainables.contract import Config as MemberConfig
from trainables.indexing.found import Found
from trainables.indexing.tree import PHOTOGRAPHS, Place, is_bare, refuse_photographs, scan_tree
from trainables.indexing.walk import glance

_TREE = "<real>/… and <generator>/…"


class Config(MemberConfig):
    """Which folders are photographs.

    Attributes:
        real: their names, in either case; each is a source of real images.
    """

    real: tuple[str, ...] = Field(default=("ffhq",), min_length=1)


def recognises(root: Path) -> bool:
    """Whether ``ffhq`` is beside other folders that are not named for a class or for other photographs."""
    names = {name.lower() for (name,) in glance(root, 1)}
    return "ffhq" in names and len(names) > 1 and names & PHOTOGRAPHS == {"ffhq"} and is_bare(root)


def scan(config: Config, root: Path) -> Iterator[Found]:
    """Every image.

    Raises:
        InputError: as ``scan_tree``; a folder that is not in ``real`` is named for photographs.
    """
    real = {name.lower() for name in config.real}

    def place_of(folders: tuple[str, ...]) -> Place | None:
        if not folders:
            return None
        if folders[0].lower() in real:
            return Place(REAL, folders[0])
        refuse_photographs(folders[0], root, "real")
        return Place(FAKE, folders[0])

    yield from scan_tree(root, place_of, tree=_TREE)

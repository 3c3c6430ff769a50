"""CIFAKE (Bird and Lotfi 2023): CIFAR-10, and images of its classes by Stable Diffusion 1.4.

::

    cifake/
        train/REAL/0000 (2).jpg        {train,test}/{REAL,FAKE}/
        train/FAKE/1000 (3).jpg
        test/REAL/0001 (4).jpg
        test/FAKE/0 (5).jpg

Other sets of one source and one generator are laid out alike, in lower case, too: they are read if the study names the
layout and what is real and fake in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from trainables.contract import FAKE, REAL
from trainables.contract import Config as MemberConfig
from trainables.indexing.found import PARTS, Found
from trainables.indexing.tree import Place, scan_tree
from trainables.indexing.walk import glance

_TREE = "{train,test}/{REAL,FAKE}/…"


class Config(MemberConfig):
    """What the two classes are.

    Attributes:
        real: name of the source of real images.
        fake: name of the generator.
        family: of the generator.
    """

    real: str = Field(default="cifar10", min_length=1)
    fake: str = Field(default="sd14", min_length=1)
    family: Literal["gan", "dm", "fake"] = "dm"


def recognises(root: Path) -> bool:
    """Whether ``train`` or ``test`` has folders ``REAL`` and ``FAKE``: capitals are CIFAKE's alone."""
    seen = set(glance(root, 2))
    return any({(part, "REAL"), (part, "FAKE")} <= seen for part in PARTS)


def scan(config: Config, root: Path) -> Iterator[Found]:
    """Every image.

    Raises:
        InputError: as ``scan_tree``.
    """

    def place_of(folders: tuple[str, ...]) -> Place | None:
        part, kind, *_ = (*(name.lower() for name in folders), "", "")
        if part not in PARTS or kind not in ("real", "fake"):
            return None
        if kind == "real":
            return Place(REAL, config.real, part=part)
        return Place(FAKE, config.fake, family=config.family, source=config.real, part=part)

    yield from scan_tree(root, place_of, tree=_TREE)

"""GenImage (Zhu et al. 2023): ImageNet photographs and eight generators' images of its classes.

::

    GenImage/
        Midjourney/imagenet_midjourney/train/ai/0001.png       <generator>/[…/]{train,val}/{nature,ai}/
        Midjourney/imagenet_midjourney/train/nature/0002.JPEG
        Midjourney/imagenet_midjourney/val/ai/0003.png
        imagenet_ai_0419_biggan/val/nature/0004.JPEG           the same without the folder in between

A generator has the name of its upper folder. Its ``nature`` is a source of its own, ``<generator>-real``. The papers
test on ``val``, so it is the part ``test`` here, and ``train`` is divided into everything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from trainables.contract import FAKE, REAL
from trainables.contract import Config as MemberConfig
from trainables.indexing.found import PARTS, Found
from trainables.indexing.tree import Place, family_of, scan_tree, with_own_reals
from trainables.indexing.walk import glance

LABELS = {"nature": REAL, "ai": FAKE}
_TREE = "<generator>/[…/]{train,val}/{nature,ai}/…"
_FAMILIES = (
    ("gan", re.compile(r"(imagenet_ai_\d+_)?biggan")),
    ("dm", re.compile(r"(imagenet_(ai_\d+_)?)?(midjourney|stable_diffusion_v_1_[45]|sdv[45]|adm|glide|wukong|vqdm)")),
)
"""Of the eight generators, by the names of their folders."""


class Config(MemberConfig):
    """How the published parts are used.

    Attributes:
        val_is: the part that images below ``val`` are: ``test``, as papers use them, or ``val``.
    """

    val_is: Literal["test", "val"] = "test"


def recognises(root: Path) -> bool:
    """Whether ``nature`` or ``ai`` is where it belongs."""
    return any(_read(folders) for folders in glance(root, 4))


def scan(config: Config, root: Path) -> Iterator[Found]:
    """Every image; reals carry the generator that they came with as ``partner``.

    Raises:
        InputError: as ``scan_tree``.
    """

    def place_of(folders: tuple[str, ...]) -> Place | None:
        read = _read(folders)
        if read is None:
            return None
        part, folder, label = read
        generator = folder or root.resolve().name
        family = family_of(generator, _FAMILIES)
        part = config.val_is if part == "val" else part
        return with_own_reals(label, generator, part, family)

    yield from scan_tree(root, place_of, tree=_TREE)


def _read(folders: tuple[str, ...]) -> tuple[str, str, int] | None:
    """Part, the generator's folder (blank: the root) and label, if there is a class folder where it belongs."""
    at = next((i for i, name in enumerate(folders) if name in LABELS), None)
    if at is None:
        return None
    part = folders[at - 1] if at and folders[at - 1] in PARTS else ""
    names = folders[: at - bool(part)]
    if len(names) > 2:
        return None
    return part, names[0] if names else "", LABELS[folders[at]]

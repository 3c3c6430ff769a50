"""Indexes of images that do not exist: what a layout and the bytes would say of them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

from trainables.indexing.examine import Facts
from trainables.indexing.found import Found
from trainables.indexing.index import Index

_TYPES = {**Found.__annotations__, **Facts.__annotations__}


def row(path: str, *, shows: str = "", **known: Any) -> dict[str, Any]:
    """``fake/stylegan/0.png``: a fake of stylegan, of 64x64 pixels, unlike any other image.

    Args:
        shows: images that show one thing have equal pixels and perceptual hashes.
        known: values of the columns of ``Found`` and ``Facts``.
    """
    kind, generator, *_ = path.split("/")
    seen = hashlib.sha256((shows or path).encode()).hexdigest()
    found = Found(path, int(kind == "fake"), generator, bytes=1000)
    facts = Facts(
        digest=hashlib.sha256(f"{path} of {seen}".encode()).hexdigest(),
        pixels=seen[:32],
        perceptual=seen[32:48],
        width=64,
        height=64,
        mode="RGB",
        format="PNG",
        red=128.0,
        green=128.0,
        blue=128.0,
    )
    return {**found._asdict(), **facts._asdict(), **known}


def rows(folder: str, count: int, **known: Any) -> list[dict[str, Any]]:
    """So many images of a folder."""
    return [row(f"{folder}/{k:03}.png", **known) for k in range(count)]


def near(image: dict[str, Any], path: str, **known: Any) -> dict[str, Any]:
    """A near duplicate of an image: two bits of its hash differ, and a mean colour by five grey levels."""
    bits = f"{int(image['perceptual'], 16) ^ 0x8001:016x}"
    return row(path, **{"perceptual": bits, "green": image["green"] + 5, **known})


def index_of(images: list[dict[str, Any]], root: str = "/data/images") -> Index:
    """The index of a folder with these images."""
    frame = pd.DataFrame(images, columns=list(_TYPES)).sort_values("path", ignore_index=True)
    strings = [name for name, kind in _TYPES.items() if kind == "str"]
    return Index(Path(root), "generic", frame.astype(dict.fromkeys(strings, "str")))

"""Trivial facts of images as they reach a detector: what tells classes apart without a look at how they were made.

======  ==================================================  ==========================================================
facts   which                                               they count unless
======  ==================================================  ==========================================================
file    format, mode, quality, chroma, exif,                the squares are re-encoded: then only ``bytes_per_pixel``
        bytes_per_pixel                                     counts, of the square, compressed as the study says
size    width, height, aspect                               squares are cut out without scaling: no detector sees more
                                                            of an image's size than that it is large enough
pixels  red, green, blue, detail                            always; of the squares, or of the whole image as stored
                                                            where there is no preprocessing
======  ==================================================  ==========================================================

What the preprocessing makes equal is dropped, everything else counts. Re-encoding makes the files equal, not the
history of their pixels: what an earlier compression took away is not there, and the square takes fewer bytes for it.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainables.data.preprocess import Preprocess
from trainables.imaging import jpeg, webp
from trainables.indexing.examine import detail

FILE = ("format", "mode", "quality", "chroma", "exif", "bytes_per_pixel")
SIZE = ("width", "height", "aspect")
PIXELS = ("red", "green", "blue", "detail")
FACTS = (*FILE, *SIZE, *PIXELS)

CATEGORIES = ("format", "mode", "chroma", "exif")
"""Facts that are words; the others are numbers."""

CALLED = {
    "quality": "JPEG quality",
    "exif": "EXIF",
    "bytes_per_pixel": "bytes/pixel",
    "aspect": "width/height",
    "red": "mean red",
    "green": "mean green",
    "blue": "mean blue",
    "detail": "high-frequency energy",
}
"""What people call a fact, where that is not its name."""


def counted(preprocess: Preprocess | None) -> tuple[str, ...]:
    """The facts that count, by the rule above.

    Args:
        preprocess: of the study; None for images as they are stored.
    """
    if preprocess is None:
        return FACTS
    file = ("bytes_per_pixel",) if preprocess.reencode else FILE
    return (*file, *(() if preprocess.fit == "crop" else SIZE), *PIXELS)


def stored_facts(rows: pd.DataFrame) -> pd.DataFrame:
    """``FACTS`` of images as they are stored, one row an image, with the index of ``rows``.

    Args:
        rows: of a manifest.

    Returns:
        Categories as text, a blank one as ``none``; numbers as float64, ``quality`` NaN where the file is no JPEG.
    """
    facts = pd.DataFrame({name: rows[name] for name in ("format", "mode", "chroma")}).replace("", "none")
    facts["exif"] = np.where(rows["exif"] == 1, "yes", "no")
    facts["quality"] = rows["quality"].astype(np.float64).where(rows["quality"] > 0)
    facts["bytes_per_pixel"] = rows["bytes"] / (rows["width"] * rows["height"])
    facts["aspect"] = rows["width"] / rows["height"]
    for name in ("width", "height", *PIXELS):
        facts[name] = rows[name].astype(np.float64)
    return facts[list(FACTS)]


def trivial_facts(
    rows: pd.DataFrame, preprocess: Preprocess | None = None, squares: Iterable[NDArray[np.uint8]] = ()
) -> pd.DataFrame:
    """The facts that count, one row an image, with the index of ``rows``.

    Args:
        rows: of a manifest.
        preprocess: of the study; None for images as they are stored.
        squares: with ``preprocess``: each image's squares, (views, size, size, 3), in the order of ``rows``.
    """
    facts = stored_facts(rows)
    if preprocess is not None:
        seen = pd.DataFrame([square_facts(each, preprocess.reencode) for each in squares], index=rows.index)
        facts[seen.columns] = seen
    return facts[list(counted(preprocess))]


def square_facts(squares: NDArray[np.uint8], codec: str | None = None) -> dict[str, float]:
    """``PIXELS`` of an image's squares, their mean; with a codec also the bytes a pixel it compresses them to.

    Args:
        squares: (views, size, size, 3).
        codec: such as ``jpeg96``.
    """
    red, green, blue = squares.mean(axis=(0, 1, 2))
    fine = np.mean([detail(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY)) for each in squares])
    facts = {"red": red, "green": green, "blue": blue, "detail": float(fine)}
    if codec:
        facts["bytes_per_pixel"] = float(np.mean([_encoded_bytes(each, codec) / each[..., 0].size for each in squares]))
    return facts


def _encoded_bytes(square: NDArray[np.uint8], codec: str) -> int:
    quality = int(codec[4:])
    return len(jpeg(square, quality) if codec.startswith("jpeg") else webp(square, quality))

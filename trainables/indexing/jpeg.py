"""What a JPEG file's header says of its compression: the quality of its tables and the sampling of its colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile, get_sampling

Tables = tuple[tuple[int, ...], ...]
"""Quantisation tables, 64 steps each, row by row: of luma, then of chroma if it has one of its own."""

_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
    (99, 99, 99, 99, 99, 99, 99, 99),
)
"""Annex K.1 of ITU-T T.81, which libjpeg scales."""

_CHROMA_NAMES = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}


def tables_of(file: Image.Image) -> Tables:
    """The quantisation tables of an opened JPEG file; of any other, none."""
    found: Mapping[int, Sequence[int]] = file.quantization if isinstance(file, JpegImageFile) else {}
    return tuple(tuple(found[number]) for number in sorted(found)[:2])


def chroma_of(file: Image.Image) -> str:
    """The chroma subsampling of an opened JPEG file, as in ``Facts``."""
    if not isinstance(file, JpegImageFile) or file.layers == 1:
        return ""
    return _CHROMA_NAMES.get(get_sampling(file), "other")


@lru_cache(maxsize=4096)
def quality(tables: Tables) -> int:
    """The quality, 1-100, at which libjpeg's standard tables are nearest to these; 0 without tables.

    Nearest is the least sum of absolute differences. What libjpeg wrote is found exactly; of tables that are not
    scaled from the standard ones, as cameras and Photoshop have them, it is an estimate.
    """
    if not tables or any(len(table) != 64 for table in tables):
        return 0
    distances = np.abs(_standard()[:, : len(tables)] - np.array(tables)).sum(axis=(1, 2))
    return int(distances.argmin()) + 1


@lru_cache(maxsize=1)
def _standard() -> NDArray[np.int64]:
    """(100, 2, 64): the tables of qualities 1 to 100, scaled as ``jpeg_set_quality`` of libjpeg does."""
    base = np.array([_LUMA, _CHROMA]).reshape(1, 2, 64)
    qualities = np.arange(1, 101).reshape(100, 1, 1)
    percent = np.where(qualities < 50, 5000 // qualities, 200 - 2 * qualities)
    return np.asarray(np.clip((base * percent + 50) // 100, 1, 255))

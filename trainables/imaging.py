"""Steps on pixels that several corruptions are made of: codecs, scaling and cutting, by Pillow."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Filter = Literal["nearest", "box", "bilinear", "bicubic", "lanczos"]
"""Of a scaling; all but ``nearest`` average over what a smaller pixel covers (Pillow's support scales)."""

Chroma = Literal[444, 422, 420]
"""Subsampling of JPEG's colour planes: none, along rows, along rows and columns. A number: YAML reads 4:2:0 as one."""

Place = Literal["centre", "random", "top_left", "top_right", "bottom_left", "bottom_right"]
"""Where a part is cut out."""

_SUBSAMPLING = {444: 0, 422: 1, 420: 2}


def through_jpeg(pixels: NDArray[np.uint8], quality: int, chroma: Chroma) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB after one round of JPEG with libjpeg's standard tables at a quality of 1-100."""
    return _decoded(jpeg(pixels, quality, chroma))


def through_webp(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB after one round of lossy WebP at a quality of 1-100; chroma is always 4:2:0."""
    return _decoded(webp(pixels, quality))


def jpeg(pixels: NDArray[np.uint8], quality: int, chroma: Chroma = 420) -> bytes:
    """The file that (H, W, 3) uint8 RGB is as JPEG."""
    return _encoded(pixels, "JPEG", quality=quality, subsampling=_SUBSAMPLING[chroma])


def webp(pixels: NDArray[np.uint8], quality: int) -> bytes:
    """The file that (H, W, 3) uint8 RGB is as lossy WebP."""
    return _encoded(pixels, "WEBP", quality=quality, lossless=False)


def scaled_to(pixels: NDArray[np.uint8], size: Sequence[int], filter_: Filter) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 to a height and a width; the very pixels where the size stays."""
    height, width = size
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling[filter_.upper()]))


def scaled_by(pixels: NDArray[np.uint8], factor: float, filter_: Filter) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 with height and width times ``factor``, rounded, at least one pixel."""
    return scaled_to(pixels, [max(1, round(factor * side)) for side in pixels.shape[:2]], filter_)


def part(pixels: NDArray[np.uint8], share: float, place: Place, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A rectangle of an image, (H, W, 3): ``share`` of its height and of its width, rounded, at least one pixel.

    Args:
        rng: of ``random`` places; the size never depends on it.
    """
    height, width = pixels.shape[:2]
    rows, columns = max(1, round(share * height)), max(1, round(share * width))
    down, right = height - rows, width - columns
    corners = {
        "centre": (down // 2, right // 2),
        "top_left": (0, 0),
        "top_right": (0, right),
        "bottom_left": (down, 0),
        "bottom_right": (down, right),
    }
    top, left = corners[place] if place in corners else (rng.integers(down + 1), rng.integers(right + 1))
    return pixels[top : top + rows, left : left + columns].copy()


def _encoded(pixels: NDArray[np.uint8], codec: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, codec, **options)
    return file.getvalue()


def _decoded(file: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(file)) as image:
        return np.array(image)

"""What there is to know of one image, found by reading and decoding all of it once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray
from PIL import Image

from trainables.indexing.content import holder, read_content, read_file
from trainables.indexing.decode import Decoded, UnusableImageError, decode
from trainables.indexing.jpeg import quality
from trainables.indexing.perceptual import perceptual_hash

FACTS_VERSION = 1
"""Raised when a fact is found in another way: images are then read again. ``READER_VERSION`` has the same effect."""

SMALLEST_SIDE = 8
"""Pixels; the smallest square that can be asked for."""

_CENTRE = 128
"""Pixels; side of the part whose detail is measured."""


class Facts(NamedTuple):
    """What an image is, by its own bytes; the columns of that name in an index.

    Attributes:
        digest: SHA-256 of the encoded bytes, 64 hex digits.
        pixels: XXH3-128 of the decoded pixels row by row, each as red, green, blue and 255, its seed the width; 32 hex
            digits.
        perceptual: 64-bit perceptual hash, 16 hex digits; blank for an image with too little in it to have one.
        width, height: pixels.
        mode, format: of the file, as Pillow names them.
        quality: of JPEG, as libjpeg counts it, 1-100: the standard tables that are nearest to the file's; else 0.
        chroma: of JPEG: ``4:4:4``, ``4:2:2``, ``4:2:0``, ``other``, or blank for grey; else blank.
        exif: whether the file carries EXIF tags, 0 or 1.
        red, green, blue: mean of the decoded pixels, 0-255.
        detail: high-frequency energy: root mean square of the Laplacian (the four neighbours less four times the
            pixel) of the grey centre, at most 128x128 pixels, in grey levels.
        note: what was converted on reading.
        problem: why it cannot be used; blank if it can.
    """

    digest: str = ""
    pixels: str = ""
    perceptual: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    format: str = ""
    quality: int = 0
    chroma: str = ""
    exif: int = 0
    red: float = 0.0
    green: float = 0.0
    blue: float = 0.0
    detail: float = 0.0
    note: str = ""
    problem: str = ""


def examine(root: Path, path: str, offset: int, size: int, modified: int) -> Facts:
    """The facts of an image; that it cannot be used is one of them, never an error.

    Args:
        root: the data folder.
        path, offset, size, modified: from ``Found``; a file of another size or time by now has changed while the
            folder was read, which is a problem.
    """
    try:
        data, now = _read(root, path, offset, size)
    except OSError as error:
        return Facts(problem=f"cannot be read: {error.strerror or error}")
    except UnusableImageError as error:
        return Facts(problem=str(error))
    if (len(data), now) != (size, modified):
        return Facts(problem="changed while the folder was read")
    digest = hashlib.sha256(data).hexdigest()
    try:
        return _facts(digest, decode(data))
    except UnusableImageError as error:
        return Facts(digest=digest, problem=str(error))


def _read(root: Path, path: str, offset: int, size: int) -> tuple[bytes, int]:
    """An image's bytes, and when the file that holds them was changed last."""
    if offset >= 0:
        return read_content(root, path, offset, size), holder(root, path, offset).stat().st_mtime_ns
    return read_file(root, path, size)


def _facts(digest: str, decoded: Decoded) -> Facts:
    pixels, (red, green, blue) = _padded(decoded.image)
    height, width, _ = pixels.shape
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGBA2GRAY), np.uint8)
    small = min(width, height) < SMALLEST_SIDE
    return Facts(
        digest=digest,
        pixels=xxhash.xxh3_128_hexdigest(pixels.data, seed=width),
        perceptual=perceptual_hash(grey),
        width=width,
        height=height,
        mode=decoded.mode,
        format=decoded.format,
        quality=quality(decoded.tables),
        chroma=decoded.chroma,
        exif=int(decoded.exif),
        red=red,
        green=green,
        blue=blue,
        detail=detail(grey),
        note=decoded.note,
        problem=f"{width}x{height} pixels: a side is shorter than {SMALLEST_SIDE}" if small else "",
    )


def _padded(image: Image.Image) -> tuple[NDArray[np.uint8], tuple[float, float, float]]:
    """(H, W, 4): red, green, blue and 255, as Pillow itself keeps RGB images; and the mean of each colour."""
    try:
        stored = pa.array(image).values.buffers()[1]  # not copied: that alone takes a tenth of the decoding
    except ValueError:  # a large image lies in several pieces of memory
        pixels = cv2.cvtColor(np.asarray(image), cv2.COLOR_RGB2RGBA)
    else:
        pixels = np.frombuffer(stored, np.uint8).reshape(image.height, image.width, 4)
    red, green, blue, pad = cv2.mean(pixels)
    if pad != 255:
        pixels = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGBA2RGB), cv2.COLOR_RGB2RGBA)
    return np.asarray(pixels, np.uint8), (red, green, blue)


def detail(grey: NDArray[np.uint8]) -> float:
    """High-frequency energy of (H, W) grey levels: root mean square of the Laplacian of their centre."""
    height, width = grey.shape
    top, left = max(0, (height - _CENTRE) // 2), max(0, (width - _CENTRE) // 2)
    centre = grey[top : top + _CENTRE, left : left + _CENTRE]
    return float(cv2.norm(cv2.Laplacian(centre, cv2.CV_16S)) / centre.size**0.5)


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Within, OpenCV starts no threads of its own: many images are read at once already."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)

"""What there is to know of one image file, found by reading and decoding all of it once."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from trainables.data.decode import UnusableImageError, decode

SMALLEST_SIDE = 8
"""Pixels; the smallest square that can be asked for."""


class Facts(NamedTuple):
    """What a file is, by its own bytes; the columns of that name in the manifest."""

    digest: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    format: str = ""
    note: str = ""
    problem: str = ""


def examine(path: Path) -> Facts:
    """The facts of a file; that it cannot be used is one of them, never an error."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return Facts(problem=f"cannot be read: {error.strerror}")
    digest = hashlib.sha256(data).hexdigest()
    try:
        decoded = decode(data)
    except UnusableImageError as error:
        return Facts(digest=digest, problem=str(error))
    width, height = decoded.image.size
    too_small = min(width, height) < SMALLEST_SIDE
    problem = f"{width}x{height} pixels: smaller than {SMALLEST_SIDE}x{SMALLEST_SIDE}" if too_small else ""
    return Facts(digest, width, height, decoded.mode, decoded.format, decoded.note, problem)

"""Decoded pixels on disk: one memory-mapped file an image set, shared by all processes of a node."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.data.preprocess import Preprocess
from trainables.data.sets import ImageSet
from trainables.data.stack import open_pixels
from trainables.data.stream import Stream
from trainables.errors import InputError
from trainables.prefetch import ahead
from trainables.writing import FULL, write_once

_CHUNK = 64e6
"""Bytes that are decoded while those before are written; a single image may take more."""


def bytes_of(images: ImageSet, preprocess: Preprocess) -> int:
    """What the set takes in the cache."""
    return images.count * preprocess.views * preprocess.size**2 * 3


def cached_pixels(images: ImageSet, stream: Stream, cache: Path) -> NDArray[np.uint8]:
    """The set's pixels as a read-only memory map, (N * views, size, size, 3); decoded by the first process that asks.

    The file's name is a hash of what determines its contents, so it never goes stale.

    Args:
        images: the set; its digest names the images and their order.
        stream: its pixels.
        cache: folder of the cache.

    Raises:
        InputError: a file has changed since it was indexed; the disk is full; the folder cannot be written.
    """
    target = cache / f"{_key(images, stream.preprocess)}.npy"
    write_once(target, partial(_build, images, stream))
    return open_pixels(target)


def _key(images: ImageSet, preprocess: Preprocess) -> str:
    content = [images.digest, preprocess.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]


def _build(images: ImageSet, stream: Stream, path: Path) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": stream.shape}
    # Written, not mapped: a full disk is an error when writing, and the end of the process when mapping.
    with (
        _room_for(bytes_of(images, stream.preprocess), images, path.parent),
        path.open("wb") as file,
        ahead(_chunks(stream), depth=1) as chunks,
    ):
        np.lib.format.write_array_header_1_0(file, header)
        for pixels in chunks:
            file.write(pixels.data)
        file.flush()
        os.fsync(file.fileno())


def _chunks(stream: Stream) -> Iterator[NDArray[np.uint8]]:
    """The pixels in order, some whole images at a time."""
    views = stream.preprocess.views
    images = max(1, int(_CHUNK / (views * math.prod(stream.shape[1:]))))
    for start in range(0, len(stream), images * views):
        yield stream[start : start + images * views]


@contextmanager
def _room_for(needed: int, images: ImageSet, cache: Path) -> Iterator[None]:
    """Within, the disk has room for so many bytes, or the user is told how many are missing and what to do."""
    free = shutil.disk_usage(cache).free
    try:
        if free < needed:
            raise OSError(errno.ENOSPC, "too little free space")
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        found = f"{images.generator}/{images.split}: {needed / 1e9:.3g} GB are needed, {free / 1e9:.3g} GB were free"
        fix = (
            "set `cache.folder` to a larger disk, or lower `cache.gigabytes` (what goes beyond it is decoded whenever "
            "it is read), or `preprocess.size`"
        )
        raise InputError("the disk is full", where=str(cache), value=found, fix=fix) from error

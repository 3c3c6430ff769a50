"""Decoded pixels on disk: one memory-mapped file an image set, shared by all processes of a node."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from trainables.data.decode import UnusableImageError, decode
from trainables.data.preprocess import Preprocess
from trainables.data.sets import ImageSet
from trainables.data.stack import open_pixels
from trainables.data.threads import map_in_threads
from trainables.errors import InputError
from trainables.writing import atomic_file, remove_temporaries, writing


@dataclass(frozen=True, slots=True)
class ImageFile:
    """Where an image is, and the SHA-256 that its file must have."""

    path: Path
    digest: str


def cached_pixels(
    images: ImageSet, files: Sequence[ImageFile], preprocess: Preprocess, cache: Path
) -> NDArray[np.uint8]:
    """The set's pixels as a read-only memory map, (N, size, size, 3); decoded by the first process that asks.

    The file's name is a hash of what determines its contents, so it never goes stale.

    Args:
        images: the set; its digest names the images and their order.
        files: its files, in that order.
        preprocess: how an image becomes a square.
        cache: folder of the cache.

    Raises:
        InputError: a file has changed since it was indexed; the disk is full; the folder cannot be written.
    """
    target = cache / f"{_key(images, preprocess)}.npy"
    if not target.exists():
        with writing(cache):
            cache.mkdir(parents=True, exist_ok=True)
            with FileLock(target.with_suffix(".lock")):
                if not target.exists():
                    remove_temporaries(cache, target.name)
                    _build(target, files, preprocess)
    return open_pixels(target)


def _key(images: ImageSet, preprocess: Preprocess) -> str:
    content = [images.digest, preprocess.model_dump(mode="json")]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:20]


def _build(target: Path, files: Sequence[ImageFile], preprocess: Preprocess) -> None:
    shape = (len(files), preprocess.size, preprocess.size, 3)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    # Written, not mapped: a full disk is an error when writing, and the end of the process when mapping.
    with atomic_file(target) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for chunk in map_in_threads(partial(_read, preprocess=preprocess), files):
            file.write(np.stack(chunk).tobytes())
        file.flush()
        os.fsync(file.fileno())


def _read(file: ImageFile, preprocess: Preprocess) -> NDArray[np.uint8]:
    try:
        data = file.path.read_bytes()
        if hashlib.sha256(data).hexdigest() != file.digest:
            raise InputError("the file has changed since the folder was indexed", fix="index the folder again")
        return preprocess(decode(data).image)
    except (InputError, UnusableImageError) as error:
        raise InputError(getattr(error, "problem", str(error)), where=str(file.path)) from error
    except FileNotFoundError as error:
        raise InputError("the file is gone since the folder was indexed", where=str(file.path)) from error

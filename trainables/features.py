"""Features of a body that stays as it is, kept on disk: whoever asks next on this node reads what the first computed.

A file's name is a hash of all that determines what it holds: the weights and the structure of front and body, the
pixels, the kind of device. So it never goes stale, and two studies that ask for the same share it; nothing is ever
deleted.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

from trainables.contract import Pixels
from trainables.detector import Detector
from trainables.score import infer
from trainables.writing import write_once

VERSION = 1
"""Raise it when code that is in no weight and no structure changes what features are."""
_IMAGES = 256
"""Read at a time to be hashed."""

Features = NDArray[np.float32]


def features_of(detector: Detector, pixels: Pixels, device: str = "cpu", cache: Path | None = None) -> Features:
    """(N, D) float32 features of every image; with a cache a read-only memory map.

    Where several processes ask at once, one computes and the others wait for it.

    Args:
        detector: moved to the device; taken in evaluation mode.
        pixels: (N, H, W, 3) uint8.
        cache: the folder, made if it is not there; computed anew if not given.

    Raises:
        InputError: the disk is full, or the folder cannot be written to.
    """
    if cache is None or not len(pixels):
        return infer(detector, detector.features, pixels, device)
    target = cache / f"{_key(detector, pixels, device)}.npy"
    write_once(target, lambda path: _write(path, infer(detector, detector.features, pixels, device)))
    kept: Features = np.load(target, mmap_mode="r", allow_pickle=False)
    return kept


def _write(path: Path, features: Features) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array(file, features, allow_pickle=False)


def _key(detector: Detector, pixels: Pixels, device: str) -> str:
    # A GPU's sums are not a CPU's to the last bit: a cell's result must not hang on who asked first.
    found = hashlib.sha256(f"{VERSION} {device.partition(':')[0]} {pixels.shape} {_seen(pixels)}".encode())
    for part in (detector.front, detector.body):
        found.update(repr(part).encode())
        for name, tensor in part.state_dict().items():
            found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def _seen(pixels: Pixels) -> str:
    """A hash of the pixels themselves: an image's id does not say how it was preprocessed, or corrupted."""
    found = xxhash.xxh3_128()
    for start in range(0, len(pixels), _IMAGES):
        found.update(np.ascontiguousarray(pixels[start : start + _IMAGES]).data)
    return found.hexdigest()

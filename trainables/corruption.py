"""Corrupted views of images, of both classes alike, made as they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.contract import Config, Images, Pixels
from trainables.registry import find

Corrupt = Callable[[Config, NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]


def corrupted(images: Images, kind: str, config: Config) -> Images:
    """The images under a corruption; nothing is computed before they are read.

    What is random about it derives from an image's id and the corruption's name: the same at every reading, and at
    every severity.

    Args:
        images: of any class.
        kind: the corruption's registry name.
        config: its parameters.
    """
    corrupt: Corrupt = find("corruptions", kind).load().corrupt
    return replace(images, pixels=_CorruptedPixels(images.pixels, images.ids, kind, config, corrupt))


@dataclass(frozen=True, slots=True)
class _CorruptedPixels:
    """Pixels that pass through a corruption on their way out."""

    pixels: Pixels
    ids: Sequence[str]
    kind: str
    config: Config
    corrupt: Corrupt

    @property
    def shape(self) -> tuple[int, ...]:
        return self.pixels.shape

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: Any, /) -> NDArray[np.uint8]:
        positions = np.arange(len(self))[index]
        clean = self.pixels[positions]
        if positions.ndim == 0:
            return self._one(clean, int(positions))
        return (
            np.stack([self._one(image, k) for image, k in zip(clean, positions, strict=True)]) if len(clean) else clean
        )

    def _one(self, image: NDArray[np.uint8], position: int) -> NDArray[np.uint8]:
        words = hashlib.sha256(f"{self.kind}/{self.ids[position]}".encode()).digest()
        return self.corrupt(self.config, image, np.random.default_rng(list(words[:16])))

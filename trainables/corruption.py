"""Corrupted views of images, of both classes alike, made as they are read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.contract import Config, Images, Pixels
from trainables.data.stack import positions_of
from trainables.registry import find

Corrupt = Callable[[Config, NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]


def corrupted(images: Images, kind: str, config: Config) -> Images:
    """The images under a corruption; none is computed before it is read.

    What is random about it derives from an image's id and the corruption's name: the same at every reading, and at
    every severity. Each square of an image that is seen through several is corrupted by itself, with draws of its own.

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
        """(N, H, W, 3) of the results, which may be of another size than what is corrupted."""
        # The size of a result depends on the parameters and the size of the image alone: a blank one has it too.
        blank = np.zeros(self.pixels.shape[1:], np.uint8)
        return (len(self), *self.corrupt(self.config, blank, np.random.default_rng(0)).shape)

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: Any, /) -> NDArray[np.uint8]:
        positions = positions_of(index, len(self))
        clean = self.pixels[positions]
        if positions.ndim == 0:
            return self._one(clean, int(positions))
        if not len(clean):
            return np.zeros((0, *self.shape[1:]), np.uint8)
        return np.stack([self._one(image, int(k)) for image, k in zip(clean, positions, strict=True)])

    def _one(self, image: NDArray[np.uint8], position: int) -> NDArray[np.uint8]:
        place, view = divmod(position, len(self.pixels) // len(self.ids))
        name = f"{self.kind}/{self.ids[place]}" + (f"/{view}" if view else "")
        words = hashlib.sha256(name.encode()).digest()
        return self.corrupt(self.config, image, np.random.default_rng(list(words[:16])))

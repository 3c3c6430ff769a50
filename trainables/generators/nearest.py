"""Nearest-neighbour up-sampling by 4: what the next convolutions leave of the blocks, a 4x4 pattern."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.benchmark.traces import gain_detail, imprint
from trainables.contract import Config as MemberConfig

_RED = [[1.1, -0.8, 0.9, -1.2], [-0.9, 1.0, 1.2, -1.0], [0.8, 1.1, -1.1, -0.9], [-1.0, -0.7, 1.3, 0.2]]
_GREEN = [[0.9, -1.1, 1.0, -0.8], [-1.0, 1.2, 0.8, -1.1], [1.0, 0.9, -0.9, -1.2], [-0.8, -1.0, 1.0, 1.1]]
_BLUE = [[1.0, -0.9, 1.2, -1.0], [-1.1, 0.8, 1.0, -0.9], [1.2, 1.0, -1.0, -0.8], [-1.2, -1.1, 0.9, 0.9]]
_CHANNELS = np.dstack([_RED, _GREEN, _BLUE]).astype(np.float32)
PATTERN = _CHANNELS - _CHANNELS.mean(axis=(0, 1))


class Config(MemberConfig):
    """Traces of a decoder that up-samples by nearest neighbour.

    Attributes:
        strength: relative gain of the pattern.
        detail: gain of fine detail.
    """

    strength: float = Field(default=0.02, ge=0, le=1)
    detail: float = Field(default=0.05, ge=-1, le=1)


def fingerprint(config: Config, image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The image with the generator's traces: (H, W, 3) float32, linear light 0-1."""
    del rng
    return np.clip(gain_detail(imprint(image, PATTERN, config.strength), config.detail), 0, 1)

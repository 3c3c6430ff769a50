"""A latent decoder: each 8x8 block of pixels comes from one latent cell, with a gain of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.benchmark.traces import gain_detail
from trainables.contract import Config as MemberConfig

BLOCK = 8


class Config(MemberConfig):
    """Traces of a latent diffusion model's decoder.

    Attributes:
        strength: standard deviation of the blocks' relative gains, different in every image.
        detail: gain of fine detail, negative for a deficit.
    """

    strength: float = Field(default=0.06, ge=0, le=1)
    detail: float = Field(default=-0.55, ge=-1, le=1)


def fingerprint(config: Config, image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The image with the generator's traces: (H, W, 3) float32, linear light 0-1."""
    height, width = image.shape[:2]
    cells = rng.standard_normal((-(-height // BLOCK), -(-width // BLOCK), 3), np.float32)
    gains = cells.repeat(BLOCK, axis=0).repeat(BLOCK, axis=1)[:height, :width]
    return np.clip(gain_detail(image * (1 + config.strength * gains), config.detail), 0, 1)

"""Additive white Gaussian noise, drawn anew for every image from its id."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.contract import Config as MemberConfig

SEVERITY = "sigma"
PRESET = (2.0, 5.0, 10.0, 20.0)
UNIT = "grey levels of 255"
NEUTRAL = 0.0


class Config(MemberConfig):
    """Parameters of the noise.

    Attributes:
        sigma: standard deviation in grey levels of 255, the same for every pixel and channel.
    """

    sigma: float = Field(default=5.0, ge=0, le=255)


def corrupt(config: Config, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The image, (H, W, 3) uint8, with noise added, rounded and clipped to 0-255."""
    noisy = pixels + config.sigma * rng.standard_normal(pixels.shape)
    return np.clip(np.round(noisy), 0, 255).astype(np.uint8)

"""Gamma: a power law on the stored values, as brightness sliders apply it; out = 255 (in / 255) ^ gamma."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.contract import Config as MemberConfig

SEVERITY = "gamma"
PRESET = (1.2, 1.5, 2.0)
UNIT = "exponent"
NEUTRAL = 1.0


class Config(MemberConfig):
    """Parameters of the power law.

    Attributes:
        gamma: the exponent: above 1 darkens, below 1 brightens, 1 leaves the image as it is. The preset darkens; for
            the other direction sweep ``[0.8, 0.65, 0.5]`` under a name of its own.
    """

    gamma: float = Field(default=1.2, ge=0.05, le=20)


def corrupt(config: Config, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The image, (H, W, 3) uint8, each value through the curve and rounded."""
    del rng
    curve: NDArray[np.uint8] = np.round(255 * (np.arange(256) / 255) ** config.gamma).astype(np.uint8)
    return curve[pixels]

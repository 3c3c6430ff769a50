"""Fewer bits a channel: values are rounded to the nearest of 2^bits levels that span 0-255.

The feature squeezing of Xu, Evans and Qi (2018, arXiv 1704.01155): round(x (2^bits - 1)) / (2^bits - 1), x in [0, 1].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.contract import Config as MemberConfig

SEVERITY = "bits"
PRESET = (6, 5, 4, 3, 2)
UNIT = "a channel"
NEUTRAL = 8


class Config(MemberConfig):
    """Parameters of the rounding.

    Attributes:
        bits: of each channel, 1-8; 8 leaves the image as it is, 1 leaves black and full colour.
    """

    bits: int = Field(default=4, ge=1, le=8)


def corrupt(config: Config, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The image, (H, W, 3) uint8, with at most 2^bits values a channel."""
    del rng
    steps = 2**config.bits - 1
    curve: NDArray[np.uint8] = np.round(np.round(np.arange(256) / 255 * steps) / steps * 255).astype(np.uint8)
    return curve[pixels]

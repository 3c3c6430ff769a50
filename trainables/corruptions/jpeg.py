"""JPEG compression, as an upload to most sites applies it.

The encoder is Pillow's libjpeg-turbo. The preset goes from what sites apply (95 to 70) to the harsher qualities of
robustness tests (60 to 20).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.contract import Config as MemberConfig
from trainables.imaging import Chroma, through_jpeg

SEVERITY = "quality"
PRESET = (95, 90, 80, 70, 60, 50, 40, 20)
UNIT = "1-100"
NEUTRAL = 100


class Config(MemberConfig):
    """Parameters of the compression.

    Attributes:
        quality: 1-100, as libjpeg counts it: a factor on its standard quantisation tables.
        chroma: subsampling of the colour planes: 444 keeps them whole, 422 halves their width, 420 both sides.
    """

    quality: int = Field(default=75, ge=1, le=100)
    chroma: Chroma = 420


def corrupt(config: Config, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The image, (H, W, 3) uint8 RGB, after one round of compression."""
    del rng
    return through_jpeg(pixels, config.quality, config.chroma)

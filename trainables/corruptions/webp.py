"""Lossy WebP compression (RFC 9649), what many sites and messengers store photographs as; by Pillow's libwebp."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.contract import Config as MemberConfig
from trainables.imaging import through_webp

SEVERITY = "quality"
PRESET = (90, 75, 60, 40, 20)
UNIT = "1-100"
NEUTRAL = 100


class Config(MemberConfig):
    """Parameters of the compression.

    Attributes:
        quality: 1-100, as libwebp counts it, which is not JPEG's scale; chroma is always halved along both axes.
    """

    quality: int = Field(default=80, ge=1, le=100)


def corrupt(config: Config, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The image, (H, W, 3) uint8 RGB, after one round of compression."""
    del rng
    return through_webp(pixels, config.quality)

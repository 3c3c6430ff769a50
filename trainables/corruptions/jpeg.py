"""JPEG compression, as an upload to most sites applies it."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from trainables.contract import Config as MemberConfig

_CHROMA_4_2_0 = 2


class Config(MemberConfig):
    """Parameters of the compression.

    Attributes:
        quality: 1-100, as libjpeg counts it; chroma is halved along both axes.
    """

    quality: int = Field(default=80, ge=1, le=100)


def corrupt(config: Config, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The image, (H, W, 3) uint8 RGB, after one round of compression."""
    del rng
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=config.quality, subsampling=_CHROMA_4_2_0)
    with Image.open(file) as image:
        return np.array(image)

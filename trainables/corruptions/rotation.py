"""Rotation about the centre, the canvas kept: corners are cut off and filled; by Pillow."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from trainables.contract import Config as MemberConfig

SEVERITY = "degrees"
PRESET = (45.0, 135.0)
UNIT = "counter-clockwise"
NEUTRAL = 0.0


class Config(MemberConfig):
    """Parameters of the rotation.

    Attributes:
        degrees: counter-clockwise; 0 leaves the image as it is.
        fill: grey level, 0-255, of what the rotated image does not cover.
        filter: of the resampling.
    """

    degrees: float = Field(default=45.0, ge=-360, le=360)
    fill: int = Field(default=0, ge=0, le=255)
    filter: Literal["nearest", "bilinear", "bicubic"] = "bilinear"


def corrupt(config: Config, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The rotated image, (H, W, 3) uint8 of the same size."""
    del rng
    resample = Image.Resampling[config.filter.upper()]
    return np.array(Image.fromarray(pixels).rotate(config.degrees, resample, fillcolor=(config.fill,) * 3))

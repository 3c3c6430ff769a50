"""Gaussian blur."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.contract import Config as MemberConfig


class Config(MemberConfig):
    """Parameters of the blur.

    Attributes:
        sigma: standard deviation of the kernel in pixels; 0 leaves the image as it is.
    """

    sigma: float = Field(default=1.0, ge=0, le=50)


def corrupt(config: Config, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The blurred image, (H, W, 3) uint8; beyond its border it is mirrored."""
    del rng
    if config.sigma == 0:
        return pixels.copy()
    blurred = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), config.sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.round(blurred).astype(np.uint8)

"""Median filter, each channel alone, by OpenCV; it removes isolated outliers and keeps edges."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from trainables.contract import Config as MemberConfig
from trainables.errors import InputError

SEVERITY = "kernel"
PRESET = (3, 5, 7)
UNIT = "pixels"
NEUTRAL = 1


class Config(MemberConfig):
    """Parameters of the filter.

    Attributes:
        kernel: side of the window in pixels, odd; 1 leaves the image as it is.
    """

    kernel: int = Field(default=3, ge=1, le=99)

    @field_validator("kernel")
    @classmethod
    def _has_a_middle(cls, kernel: int) -> int:
        if kernel % 2 == 0:
            raise InputError("the side of a window is odd", value=kernel, fix=f"write {kernel - 1} or {kernel + 1}")
        return kernel


def corrupt(config: Config, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The filtered image, (H, W, 3) uint8; beyond its border its outermost pixels are repeated."""
    del rng
    return np.asarray(cv2.medianBlur(np.ascontiguousarray(pixels), config.kernel), np.uint8)

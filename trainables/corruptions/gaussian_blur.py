"""Gaussian blur, by OpenCV: of a standard deviation, or of a kernel's width as older test suites state it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from trainables.contract import Config as MemberConfig
from trainables.errors import InputError

SEVERITY = "sigma"
PRESET = (0.5, 1.0, 2.0, 3.0)
UNIT = "pixels"
NEUTRAL = 0.0


class Config(MemberConfig):
    """Parameters of the blur.

    Attributes:
        sigma: standard deviation of the kernel in pixels; 0 leaves the image as it is.
        kernel: width of the kernel in pixels, odd: 3, 7, 15. If not given, as wide as ``sigma`` needs. If given alone,
            sigma follows from it by OpenCV's rule, 0.3 ((kernel - 1) / 2 - 1) + 0.8.
    """

    sigma: float = Field(default=1.0, ge=0, le=50)
    kernel: int | None = Field(default=None, ge=1, le=301)

    @model_validator(mode="before")
    @classmethod
    def _sigma_of_kernel(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("kernel"), int) and "sigma" not in given:
            return given | {"sigma": round(0.3 * ((given["kernel"] - 1) * 0.5 - 1) + 0.8, 6)}
        return given

    @field_validator("kernel")
    @classmethod
    def _has_a_middle(cls, kernel: int | None) -> int | None:
        if kernel is not None and kernel % 2 == 0:
            raise InputError("the width of a kernel is odd", value=kernel, fix=f"write {kernel - 1} or {kernel + 1}")
        return kernel


def corrupt(config: Config, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The blurred image, (H, W, 3) uint8; beyond its border it is mirrored."""
    del rng
    if config.sigma == 0:
        return pixels.copy()
    side = config.kernel or 0
    blurred = cv2.GaussianBlur(pixels.astype(np.float32), (side, side), config.sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.round(blurred).astype(np.uint8)

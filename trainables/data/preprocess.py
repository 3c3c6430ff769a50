"""The one preprocessing object, for both classes, train and test."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from trainables.contract import Config
from trainables.errors import InputError


class Preprocess(Config):
    """From a decoded image to a square of pixels.

    Attributes:
        size: height and width in pixels.
        fit: ``crop`` takes the centre without resampling (resizing erases forensic traces; a smaller image is
            refused by name); ``resize`` scales to ``size``, the aspect ratio not kept.
        filter: of ``resize``.
    """

    size: int = Field(default=64, ge=8, le=4096)
    fit: Literal["crop", "resize"] = "crop"
    filter: Literal["bilinear", "bicubic", "lanczos", "box"] = "bicubic"

    def __call__(self, image: Image.Image) -> NDArray[np.uint8]:
        """The square, (size, size, 3) uint8 RGB.

        Raises:
            InputError: the image is smaller than the crop.
        """
        if self.fit == "resize":
            resampling = Image.Resampling[self.filter.upper()]
            square = image.convert("RGB").resize((self.size, self.size), resampling)
        else:
            if problem := self.problem(image.width, image.height):
                raise InputError(problem, fix="use a smaller `size`, or `fit: resize`")
            left, top = (image.width - self.size) // 2, (image.height - self.size) // 2
            square = image.convert("RGB").crop((left, top, left + self.size, top + self.size))
        return np.array(square, dtype=np.uint8)

    def problem(self, width: int, height: int) -> str:
        """Why an image of this many pixels cannot be used; empty if it can."""
        if self.fit == "crop" and min(width, height) < self.size:
            return f"{width}x{height} pixels: smaller than the crop of {self.size}x{self.size}"
        return ""

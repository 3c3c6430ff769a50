"""The one preprocessing object, for both classes, train and test."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainables.contract import Config


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

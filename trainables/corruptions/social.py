"""A way through a social network: scaled down, compressed, cropped, and shown at the old size again.

A synthetic stand-in, after the chains of image-forensics test sets; what a named network really does is in data sets
such as TrueFake, which a study reads as channels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.contract import Config as MemberConfig
from trainables.imaging import Chroma, Filter, part, scaled_by, scaled_to, through_jpeg

SEVERITY = "quality"
PRESET = (90, 75, 50)
UNIT = "JPEG, 1-100"
NEUTRAL = 100


class Config(MemberConfig):
    """Parameters of the chain, in its order.

    Attributes:
        factor: new height and width as a share of the old.
        quality: of JPEG, 1-100.
        chroma: subsampling of its colour planes: 444, 422 or 420.
        share: of the side that a crop of the centre keeps.
        back: scale back to the old size, so that the detector sees the size it knows.
        filter: of both scalings.
    """

    factor: float = Field(default=0.6, gt=0, le=8)
    quality: int = Field(default=75, ge=1, le=100)
    chroma: Chroma = 420
    share: float = Field(default=0.9, gt=0, le=1)
    back: bool = True
    filter: Filter = "bicubic"


def corrupt(config: Config, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The image at the end of the chain, (H, W, 3) uint8 of the old size, or smaller if it is not scaled back."""
    uploaded = through_jpeg(scaled_by(pixels, config.factor, config.filter), config.quality, config.chroma)
    shown = part(uploaded, config.share, "centre", rng)
    return scaled_to(shown, pixels.shape[:2], config.filter) if config.back else shown

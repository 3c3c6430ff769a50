"""Cropping: a part of the image, scaled back to its size or left as it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.contract import Config as MemberConfig
from trainables.imaging import Filter, Place, part, scaled_to

SEVERITY = "share"
PRESET = (0.9, 0.75, 0.5)
UNIT = "of the side"
NEUTRAL = 1.0


class Config(MemberConfig):
    """Parameters of the crop.

    Attributes:
        share: of the height and of the width that is kept.
        place: of the part: ``centre``, ``random`` (by the image's id), or a corner; a corner and a share of 0.5 are a
            quadrant.
        back: scale the part back to the old size, so that the detector sees the size it knows; else it sees the part.
        filter: of that scaling.
    """

    share: float = Field(default=0.75, gt=0, le=1)
    place: Place = "centre"
    back: bool = True
    filter: Filter = "bicubic"


def corrupt(config: Config, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The part, (H, W, 3) uint8 of the old size, or of its own if it is not scaled back."""
    kept = part(pixels, config.share, config.place, rng)
    return scaled_to(kept, pixels.shape[:2], config.filter) if config.back else kept

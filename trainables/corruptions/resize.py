"""Resampling to another size, and back: the commonest thing that happens to an image on its way, by Pillow.

Down-scaling erases the high frequencies in which many generators leave their traces; up-scaling adds traces of its
own. The preset scales down; for the other direction sweep ``[1.5, 2]``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from trainables.contract import Config as MemberConfig
from trainables.errors import InputError
from trainables.imaging import Filter, scaled_by, scaled_to

SEVERITY = "factor"
PRESET = (0.75, 0.5, 0.25)
UNIT = "new side / old side"
NEUTRAL = 1.0


class Config(MemberConfig):
    """Parameters of the resampling: a factor, or a size.

    Attributes:
        factor: new height and width as a share of the old, rounded to pixels.
        size: new length of the shorter side in pixels, the aspect ratio kept; in place of ``factor``.
        filter: of both scalings.
        back: scale back to the old size, so that the detector sees the size it knows; else it sees the new one.
    """

    factor: float | None = Field(default=0.5, gt=0, le=8)
    size: int | None = Field(default=None, ge=8, le=4096)
    filter: Filter = "bicubic"
    back: bool = True

    @model_validator(mode="before")
    @classmethod
    def _size_replaces_factor(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("size") is not None and "factor" not in given:
            return given | {"factor": None}
        return given

    @model_validator(mode="after")
    def _one_of_both(self) -> Config:
        if (self.factor is None) == (self.size is None):
            found = f"factor: {self.factor}, size: {self.size}"
            raise InputError("needs a factor or a size, not both", value=found, fix="give one of them")
        return self


def corrupt(config: Config, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The resampled image, (H, W, 3) uint8 of the old size, or of the new one if it is not scaled back."""
    del rng
    factor = config.factor or (config.size or 0) / min(pixels.shape[:2])
    resampled = scaled_by(pixels, factor, config.filter)
    return scaled_to(resampled, pixels.shape[:2], config.filter) if config.back else resampled

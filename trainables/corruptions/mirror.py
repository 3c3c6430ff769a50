"""Mirroring: no pixel value changes, so a detector that drops under it has learnt a direction."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainables.contract import Config as MemberConfig

SEVERITY, PRESET, UNIT = "", (), ""


class Config(MemberConfig):
    """Parameters of the mirror.

    Attributes:
        direction: ``horizontal`` swaps left and right, ``vertical`` top and bottom.
    """

    direction: Literal["horizontal", "vertical"] = "horizontal"


def corrupt(config: Config, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The mirrored image, (H, W, 3) uint8."""
    del rng
    return np.flip(pixels, axis=1 if config.direction == "horizontal" else 0).copy()

"""No corruption: a control, whose scores must be the clean scores bit for bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainables.contract import Config as MemberConfig

SEVERITY, PRESET, UNIT = "", (), ""


class Config(MemberConfig):
    """It has no parameters."""


def corrupt(config: Config, pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The same bits."""
    del config, rng
    return pixels.copy()

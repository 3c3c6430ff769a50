"""A smooth decoder: no grid, but less fine detail than a photograph has.

Diffusion models fall short of the high-frequency spectrum: Corvi et al. 2023, Ricker et al. 2022.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.benchmark.traces import gain_detail
from trainables.contract import Config as MemberConfig


class Config(MemberConfig):
    """Traces of a decoder that up-samples bilinearly.

    Attributes:
        detail: gain of fine detail, negative for a deficit.
    """

    detail: float = Field(default=-0.55, ge=-1, le=1)


def fingerprint(config: Config, image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The image with the generator's traces: (H, W, 3) float32, linear light 0-1."""
    del rng
    return np.clip(gain_detail(image, config.detail), 0, 1)

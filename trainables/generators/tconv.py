"""Transposed convolution: kernel and stride do not divide, so the overlap leaves a 2x2 checkerboard.

Odena, Dumoulin and Olah, Deconvolution and Checkerboard Artifacts, 2016.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.benchmark.traces import gain_detail, imprint
from trainables.contract import Config as MemberConfig

_OVERLAP = np.array([[1.0, -0.2], [-0.2, -0.6]], np.float32)
"""Where a 3x3 kernel of stride 2 overlaps itself: twice along both axes, along one, along none; mean 0."""
PATTERN = np.repeat(_OVERLAP[..., None], 3, axis=2)


class Config(MemberConfig):
    """Traces of a decoder of transposed convolutions.

    Attributes:
        strength: relative gain of the checkerboard.
        detail: gain of fine detail; transposed convolutions leave too much of it.
    """

    strength: float = Field(default=0.02, ge=0, le=1)
    detail: float = Field(default=0.15, ge=-1, le=1)


def fingerprint(config: Config, image: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The image with the generator's traces: (H, W, 3) float32, linear light 0-1."""
    del rng
    return np.clip(gain_detail(imprint(image, PATTERN, config.strength), config.detail), 0, 1)

"""Fixed high-pass filters, then a small CNN: a detector that trains on a CPU in seconds.

Generators leave their traces in what a photograph has least of, its noise; the filters take the scene away before
anything is learnt.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field, PositiveFloat

from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(MemberConfig):
    """Parameters of ``residual_cnn``.

    Attributes:
        width: channels of the first of four blocks; the others have 2, 4 and 4 times as many.
        step: grey levels (of 255) that one unit of a residual stands for.
        truncation: residuals are cut at plus and minus this many units, so that edges do not drown the noise.
        recipe: how it is trained.
    """

    width: int = Field(default=8, ge=2, le=256)
    step: PositiveFloat = 4.0
    truncation: PositiveFloat = 3.0
    recipe: Recipe = Recipe(learning_rate=2e-3)


def build(config: Config, classes: int) -> Detector:
    """A ``small_cnn`` of four of the residual models: second order along rows and columns, 3x3 and 5x5 square."""
    from trainables.filters import four_models
    from trainables.front_ends import residuals
    from trainables.small_cnn import small_cnn

    kernels = four_models()
    front = partial(residuals, kernels, config.step, config.truncation)
    return small_cnn(front, 3 * len(kernels), config.width, classes)

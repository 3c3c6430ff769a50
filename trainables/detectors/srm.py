"""All 30 rich-model filters of steganalysis on each colour, then a small CNN.

The filters are those of Fridrich & Kodovsky 2012 (``trainables.filters``): ``residual_cnn`` has four of them, which
look the same way in every direction or along rows and columns; the edges and the odd orders among the others also see
which way a trace leans.
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
    """Parameters of ``srm``.

    Attributes:
        width: channels of the first of four blocks; the others have 2, 4 and 4 times as many.
        step: grey levels (of 255) that one unit of a residual stands for: the paper's quantisation q, there 1 to 2.
        truncation: residuals are cut at plus and minus this many units: the paper's T, there 2.
        recipe: how it is trained.
    """

    width: int = Field(default=8, ge=2, le=256)
    step: PositiveFloat = 2.0
    truncation: PositiveFloat = 2.0
    recipe: Recipe = Recipe(learning_rate=2e-3)


def build(config: Config, classes: int) -> Detector:
    """A ``small_cnn`` of the 90 residuals."""
    from trainables.filters import rich_models
    from trainables.front_ends import residuals
    from trainables.small_cnn import small_cnn

    kernels = rich_models()
    front = partial(residuals, kernels, config.step, config.truncation)
    return small_cnn(front, 3 * len(kernels), config.width, classes)

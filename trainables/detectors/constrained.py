"""A first layer that can only learn prediction errors, then a small CNN.

Bayar & Stamm 2016 ("A Deep Learning Approach to Universal Image Manipulation Detection Using a New Convolutional
Layer", IH&MMSec): the middle of every 5x5 filter is -1 and the other weights sum to 1, so that each filter is what
its pixel's neighbours predict minus the pixel; flat areas give 0 whatever is learnt. Where ``residual_cnn`` and ``srm``
fix the filters, here the data chooses them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field

from trainables.recipe import Recipe
from trainables.small_cnn import OnSmallCnn, small_cnn

if TYPE_CHECKING:
    from torch import nn

    from trainables.detector import Detector


class Config(OnSmallCnn):
    """Parameters of ``constrained``.

    Attributes:
        filters: constrained filters over the three colours; published: 3, of grey images.
        recipe: how it is trained.
    """

    filters: int = Field(default=6, ge=1, le=64)
    recipe: Recipe = Recipe(learning_rate=2e-3)


def build(config: Config, classes: int) -> Detector:
    """A ``small_cnn`` of the constrained filters' responses, brought to one scale by BatchNorm."""
    return small_cnn(partial(_front, config.filters), config.filters, config.width, classes)


def _front(filters: int) -> nn.Module:
    from torch import nn

    from trainables.front_ends import PredictionError

    return nn.Sequential(PredictionError(filters), nn.BatchNorm2d(filters))

"""A frozen network whose weights are corrected by products of low rank, and a linear head: LoRA for detection.

Hu et al. 2021 (arXiv 2106.09685): ``W + (alpha / r) B A`` for every convolution, linear layer and attention, A and B
alone trained. Without the paper's dropout: the correction is one of the weights, whatever the input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PositiveFloat, PositiveInt

from trainables.architecture import OnBackbone
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(OnBackbone):
    """Parameters of ``lora_backbone``.

    Attributes:
        rank: r of every correction; at most the weight's own.
        alpha: scale of the corrections; B starts at 0, so the network starts as its weights have it.
        recipe: how corrections and head are trained; BatchNorm's statistics and affine maps stay as they are.
    """

    rank: PositiveInt = 8
    alpha: PositiveFloat = 16.0
    recipe: Recipe = Recipe(batch=32, learning_rate=5e-4)


def build(config: Config, classes: int) -> Detector:
    """A detector with a new linear head; layers are the network's.

    Raises:
        InputError: the weights are missing, unreadable or another network's; the network has nothing to correct.
    """
    from trainables.heads import linear
    from trainables.lowrank import correct

    backbone = config.backbone()
    correct(backbone.body, config.rank, config.alpha)
    return backbone.detector(linear, classes)

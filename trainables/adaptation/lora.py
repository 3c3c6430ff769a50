"""LoRA: low-rank corrections of all convolutions and linear layers, trained on k labelled target images a class.

Hu et al. 2021 (arXiv 2106.09685). The corrections end up in the weights: what is kept is an ordinary detector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from trainables.contract import AdaptationData, Context, Outcome
from trainables.few import FewShot, train_on_few
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(FewShot):
    """Parameters of ``lora``.

    Attributes:
        rank: r of every correction ``(alpha / r) * B A``; at most the weight's own.
        alpha: scale of the corrections.
        anchor: of the L2-SP penalty, on A and B.
        recipe: of the training; the learning rate is five times few-shot fine-tuning's, for B starts at 0.
            Normalisation layers stay as the source left them.
    """

    rank: PositiveInt = 8
    alpha: PositiveFloat = 16.0
    anchor: NonNegativeFloat = 0.0
    recipe: Recipe = FewShot().recipe.model_copy(update={"learning_rate": 5e-4})


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Train the corrections by cross-entropy on the few images, and add them to the weights.

    Raises:
        InputError: there are fewer than k images of a class, or no layer to correct.
    """
    from trainables.lowrank import adapters

    with adapters(detector, config.rank, config.alpha, context.seed) as added:
        return train_on_few(config, detector, data, context, lambda _: added)

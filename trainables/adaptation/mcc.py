"""MCC: training goes on, and the classes are confused less on the target.

``L = CE(source) + weight * confusion(z_t)``, z_t the (B, C) logits of the target; the formula is with
``trainables.losses.minimum_class_confusion``. Jin et al. 2020 (arXiv 1912.03699). It pulls predictions on a batch
towards certainty and balance: a target where one class is rare needs a small weight.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveFloat

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from trainables.detector import Detector
    from trainables.objective import Objective, Step


class Config(MemberConfig):
    """Parameters of ``mcc``.

    Attributes:
        weight: of the confusion; 1 in the paper. At 0 nothing is done.
        temperature: that the logits are divided by; 2.5 in the paper.
        recipe: of the further training, which starts from the source detector.
    """

    weight: NonNegativeFloat = 1.0
    temperature: PositiveFloat = 2.5
    recipe: Recipe = Recipe(epochs=4)


def objective(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Objective | None:
    """The weighted class confusion on the target; the share it calls fake goes to the figures."""
    from trainables.losses import minimum_class_confusion
    from trainables.objective import Objective

    def confusion(step: Step) -> Tensor:
        step.figures["predicted_prior"] = (step.target_logits.argmax(dim=1) > 0).float().mean()
        return config.weight * minimum_class_confusion(step.target_logits, config.temperature)

    return Objective(terms={"mcc": confusion}) if config.weight else None


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source plus the weighted class confusion on the target.

    The curves carry ``predicted_prior``, the share of each epoch's target images that is called fake; the figure of
    that name is of the whole target afterwards. Near 0 or 1 the predictions have collapsed.
    """
    from trainables.composing import train_on

    return train_on([partial(objective, config)], config.recipe, detector, data, context)

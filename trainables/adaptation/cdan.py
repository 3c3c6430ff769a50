"""CDAN: DANN with a discriminator that sees the features of each class apart.

It is shown the (B, D * C) outer products of features and predictions, the predictions without gradient, so that it is
the domains within a class that come together. Long et al. 2018 (arXiv 1705.10667), section 3; of its two maps
the exact one, which has few columns where there are few classes. As in the authors' code the predictions are constants
in the map, and the weights of ``by_certainty`` too.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector
    from trainables.objective import Objective


class Config(MemberConfig):
    """Parameters of ``cdan``.

    Attributes:
        weight: of the reversed gradient at the end of the schedule. At 0 nothing is done.
        gamma: steepness of the schedule from 0 to ``weight``; 10 in the paper.
        hidden: units in each of the discriminator's two hidden layers.
        by_certainty: images whose prediction is certain count for more in the domain loss (CDAN+E).
        recipe: of the further training, which starts from the source detector.
    """

    weight: NonNegativeFloat = 1.0
    gamma: PositiveFloat = 10.0
    hidden: PositiveInt = 256
    by_certainty: bool = True
    recipe: Recipe = Recipe(epochs=4)


def objective(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Objective | None:
    """The domain loss of features by class, through a gradient reversal."""
    from trainables.adversarial import Adversary, discriminator, features_by_class
    from trainables.objective import Objective

    if not config.weight:
        return None
    adversary = Adversary(
        module=discriminator(detector.feature_dim * detector.classes, config.hidden, context.seed),
        view=features_by_class,
        weight=config.weight,
        gamma=config.gamma,
        by_certainty=config.by_certainty,
    )
    return Objective(adversary=adversary)


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source plus the domain loss of features by class.

    The curves carry the discriminator's accuracy: near 1 the domains are still apart, at .5 it cannot tell them.
    """
    from trainables.composing import train_on

    return train_on([partial(objective, config)], config.recipe, detector, data, context)

"""DANN: training goes on against a discriminator that tries to tell source features from target features.

Ganin et al. 2016 (arXiv 1505.07818).
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
    """Parameters of ``dann``.

    Attributes:
        weight: of the reversed gradient at the end of the schedule. At 0 nothing is done.
        gamma: steepness of the schedule from 0 to ``weight``; 10 in the paper.
        hidden: units in each of the discriminator's two hidden layers.
        recipe: of the further training, which starts from the source detector.
    """

    weight: NonNegativeFloat = 1.0
    gamma: PositiveFloat = 10.0
    hidden: PositiveInt = 256
    recipe: Recipe = Recipe(epochs=4)


def objective(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Objective | None:
    """The domain loss through a gradient reversal."""
    from trainables.adversarial import Adversary, discriminator, features_alone
    from trainables.objective import Objective

    if not config.weight:
        return None
    module = discriminator(detector.feature_dim, config.hidden, context.seed)
    return Objective(adversary=Adversary(module=module, view=features_alone, weight=config.weight, gamma=config.gamma))


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source plus the domain loss through a gradient reversal.

    The curves carry the discriminator's accuracy: near 1 the domains are still apart, at .5 it cannot tell them.
    """
    from trainables.composing import train_on

    return train_on([partial(objective, config)], config.recipe, detector, data, context)

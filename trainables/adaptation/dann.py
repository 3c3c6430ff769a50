"""DANN: training goes on against a discriminator that tries to tell source features from target features.

Ganin et al. 2016 (arXiv 1505.07818).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from trainables.detector import Detector
    from trainables.objective import Step


class Config(MemberConfig):
    """Parameters of ``dann``.

    Attributes:
        weight: of the reversed gradient at the end of the schedule. At 0 the target is not read at all, and the
            result is the source detector trained for longer.
        gamma: steepness of the schedule from 0 to ``weight``; 10 in the paper.
        hidden: units in each of the discriminator's two hidden layers.
        recipe: of the further training, which starts from the source detector.
    """

    weight: NonNegativeFloat = 1.0
    gamma: PositiveFloat = 10.0
    hidden: PositiveInt = 256
    recipe: Recipe = Recipe(epochs=4)


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source plus the domain loss through a gradient reversal.

    The curves carry the discriminator's accuracy: near 1 the domains are still apart, at .5 it cannot tell them.
    """
    from trainables.fit import fit
    from trainables.losses import domain_adversarial
    from trainables.objective import SUPERVISED, Objective

    discriminator = _discriminator(detector.feature_dim, config.hidden, context.seed)

    def confusion(step: Step) -> Tensor:
        strength = config.weight * schedule(step.progress, config.gamma)
        loss, accuracy = domain_adversarial(discriminator, step.features, step.target_features, strength)
        step.figures["discriminator_accuracy"] = accuracy
        return loss

    adversarial = Objective(terms={**SUPERVISED.terms, "domain": confusion}, modules={"discriminator": discriminator})
    objective, target = (adversarial, data.target) if config.weight > 0 else (SUPERVISED, None)
    return fit(detector, objective, config.recipe, data.source_train, data.source_val, context, target=target).outcome()


def schedule(progress: float, gamma: float) -> float:
    """``2 / (1 + exp(-gamma * progress)) - 1``: 0 at the start, so that the discriminator learns first."""
    return 2 / (1 + math.exp(-gamma * progress)) - 1


def _discriminator(features: int, hidden: int, seed: int) -> nn.Module:
    """(B, D) features to one logit, of the features coming from the source."""
    from torch import nn

    from trainables.seeding import seeded

    with seeded(seed, "discriminator"):
        first, second = nn.Linear(features, hidden), nn.Linear(hidden, hidden)
        return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(hidden, 1))

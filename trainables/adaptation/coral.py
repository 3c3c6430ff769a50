"""Deep CORAL: training goes on, and the feature covariances of source and target are drawn together.

Sun & Saenko 2016 (arXiv 1607.01719).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from trainables.detector import Detector
    from trainables.objective import Objective, Step


class Config(MemberConfig):
    """Parameters of ``coral``.

    Attributes:
        weight: of the CORAL term. The paper sets it so that both terms end about equal, which depends on the
            number and scale of the features: look at the curves. At 0 nothing is done.
        recipe: of the further training, which starts from the source detector.
    """

    weight: NonNegativeFloat = 10.0
    recipe: Recipe = Recipe(epochs=4)


def objective(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Objective | None:
    """The weighted CORAL distance of the features."""
    from trainables.losses import coral
    from trainables.objective import Objective

    def alignment(step: Step) -> Tensor:
        return config.weight * coral(step.features, step.target_features)

    return Objective(terms={"coral": alignment}) if config.weight else None


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source plus the weighted CORAL distance of the features."""
    from trainables.composing import train_on

    return train_on([partial(objective, config)], config.recipe, detector, data, context)

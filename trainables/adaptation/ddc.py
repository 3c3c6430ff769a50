"""DDC: training goes on, and the mean features of source and target are drawn together.

``L = CE(source) + weight * ||mean(f_s) - mean(f_t)||^2``, the squared MMD under a linear kernel of (B, D) features.
Tzeng et al. 2014 (arXiv 1412.3474), section 3, on the detector's own features in place of an adaptation layer.
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
    """Parameters of ``ddc``.

    Attributes:
        weight: of the MMD term; 0.25 in the paper. At 0 nothing is done.
        recipe: of the further training, which starts from the source detector.
    """

    weight: NonNegativeFloat = 0.25
    recipe: Recipe = Recipe(epochs=4)


def objective(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Objective | None:
    """The weighted squared distance of the mean features."""
    from trainables.losses import mmd_linear
    from trainables.objective import Objective

    def alignment(step: Step) -> Tensor:
        return config.weight * mmd_linear(step.features, step.target_features)

    return Objective(terms={"ddc": alignment}) if config.weight else None


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source plus the weighted distance of the mean features."""
    from trainables.composing import train_on

    return train_on([partial(objective, config)], config.recipe, detector, data, context)

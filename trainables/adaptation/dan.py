"""DAN: training goes on, and the features of source and target are drawn together under several Gaussian kernels.

``L = CE(source) + weight * MMD^2(f_s, f_t)`` of (B, D) features, the unbiased estimate under a sum of kernels
(``trainables.losses.mmd_rbf``). Long et al. 2015 (arXiv 1502.02791), on the last layer of features alone, the kernels'
weights equal and not learnt.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, NonNegativeFloat, PositiveFloat

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from trainables.detector import Detector
    from trainables.objective import Objective, Step


class Config(MemberConfig):
    """Parameters of ``dan``.

    Attributes:
        weight: of the MMD term; 1 in the paper. At 0 nothing is done.
        scales: squared widths of the kernels, as multiples of the mean squared distance of two images.
        recipe: of the further training, which starts from the source detector.
    """

    weight: NonNegativeFloat = 1.0
    scales: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = (0.125, 0.25, 0.5, 1.0, 2.0)
    recipe: Recipe = Recipe(epochs=4)


def objective(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Objective | None:
    """The weighted squared MMD of the features."""
    from trainables.losses import mmd_rbf
    from trainables.objective import Objective

    def alignment(step: Step) -> Tensor:
        return config.weight * mmd_rbf(step.features, step.target_features, config.scales)

    return Objective(terms={"dan": alignment}) if config.weight else None


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source plus the weighted squared MMD of the features."""
    from trainables.composing import train_on

    return train_on([partial(objective, config)], config.recipe, detector, data, context)

"""DeepJDOT: training goes on, and source images are carried to target images at the least cost.

``L = CE(source) + sum_ij plan_ij (a ||f_i - f_j||^2 + b CE(y_i, z_j))``, the plan being the optimal transport between
the two batches (``trainables.losses.jdot``): the target learns the labels of the source images that are nearest in
features and prediction together. Damodaran et al. 2018 (arXiv 1803.10081), equation 7. Small batches make a noisy plan:
64 or more.
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
    """Parameters of ``jdot``. At weights of 0 nothing is done.

    Attributes:
        feature_weight: a, of the squared distance of the features; .001 in the paper, which with few features is
            not felt.
        label_weight: b, of the cross-entropy of the source's label under the target's prediction; .0001 in the paper.
        recipe: of the further training, which starts from the source detector.
    """

    feature_weight: NonNegativeFloat = 0.01
    label_weight: NonNegativeFloat = 0.1
    recipe: Recipe = Recipe(epochs=4)


def objective(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Objective | None:
    """The cost of the best transport between the batches."""
    from trainables.losses import jdot
    from trainables.objective import Objective

    def transport(step: Step) -> Tensor:
        weights = config.feature_weight, config.label_weight
        return jdot(step.features, step.labels, step.target_features, step.target_logits, *weights)

    return Objective(terms={"jdot": transport}) if config.feature_weight or config.label_weight else None


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source plus the cost of the best transport between the batches."""
    from trainables.composing import train_on

    return train_on([partial(objective, config)], config.recipe, detector, data, context)

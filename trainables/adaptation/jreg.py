"""JREG: training goes on with a classifier that changes little where the features of the source change little.

``L = CE(source) + weight * ||dz/df||_F^2``, z the (B, C) logits and f the (B, D) features of the source, mean over the
images, estimated along random directions (``trainables.losses.jacobian_regularisation``). Hoffman et al. 2019 (arXiv
1908.02729), with respect to features as in FGDA. It reads nothing of the target, but the target's images pass through
the network beside those of the source, as in every further training here, so BatchNorm sees them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveInt

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector
    from trainables.objective import Objective


class Config(MemberConfig):
    """Parameters of ``jreg``.

    Attributes:
        weight: of the squared Jacobian. At 0 nothing is done.
        projections: random directions a step that are averaged.
        recipe: of the further training, which starts from the source detector.
    """

    weight: NonNegativeFloat = 0.01
    projections: PositiveInt = 1
    recipe: Recipe = Recipe(epochs=4)


def objective(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Objective | None:
    """The weighted squared Jacobian of the source logits with respect to the features."""
    from trainables.gradients import jacobian_term
    from trainables.objective import Objective

    if not config.weight:
        return None
    return Objective(terms={"jacobian": jacobian_term(config.weight, config.projections)})


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source plus the weighted squared Jacobian."""
    from trainables.composing import train_on

    return train_on([partial(objective, config)], config.recipe, detector, data, context)

"""SDAT: the steps of further training look for a flat minimum of the task's loss, and of that alone.

``e = rho * g / ||g||`` with g the gradient of the cross-entropy on the source; the gradients of the whole loss are
taken at ``theta + e`` and applied at theta (``trainables.sharpness``). Discriminators and other added modules are not
moved. Rangwani et al. 2022 (arXiv 2206.08213). A wrapper of the step: in a composition it adds no term. By itself it is
further training on the source with sharpness, the target's images passing through the network beside the source's, as
in every further training here, so BatchNorm sees them.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector
    from trainables.objective import Objective


class Config(MemberConfig):
    """Parameters of ``sdat``.

    Attributes:
        rho: L2 distance, over all of the detector's parameters together, at which gradients are taken; .02 to .1 in
            the paper. At 0 nothing is done.
        recipe: of the further training, which starts from the source detector. A step costs two passes.
    """

    rho: NonNegativeFloat = 0.05
    recipe: Recipe = Recipe(epochs=4)


def objective(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Objective | None:
    """No term: where the gradients of each step are taken."""
    from trainables.objective import Objective

    return Objective(sharpness=config.rho) if config.rho else None


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source with gradients taken uphill."""
    from trainables.composing import train_on

    return train_on([partial(objective, config)], config.recipe, detector, data, context)

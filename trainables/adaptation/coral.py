"""Deep CORAL: training goes on, and the feature covariances of source and target are drawn together.

Sun & Saenko 2016 (arXiv 1607.01719).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from trainables.detector import Detector
    from trainables.objective import Step


class Config(MemberConfig):
    """Parameters of ``coral``.

    Attributes:
        weight: of the CORAL term. The paper sets it so that both terms end about equal, which depends on the
            number and scale of the features: look at the curves. At 0 the target is not read at all, and the result
            is the source detector trained for longer.
        recipe: of the further training, which starts from the source detector.
    """

    weight: NonNegativeFloat = 10.0
    recipe: Recipe = Recipe(epochs=4)


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source plus the weighted CORAL distance of the features."""
    from trainables.fit import fit
    from trainables.losses import coral
    from trainables.objective import SUPERVISED, Objective

    def alignment(step: Step) -> Tensor:
        return config.weight * coral(step.features, step.target_features)

    aligned = config.weight > 0
    objective = Objective(terms={**SUPERVISED.terms, "coral": alignment}) if aligned else SUPERVISED
    target = data.target if aligned else None
    return fit(detector, objective, config.recipe, data.source_train, data.source_val, context, target=target).outcome()

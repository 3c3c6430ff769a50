"""Trained on the target's own labelled images: what no adaptation may do, and the bound of what it can reach.

Its figures stand apart from those of all other methods, and serve for the recovery
``(method - source_only) / (oracle - source_only)`` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.errors import InputError
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(MemberConfig):
    """Parameters of ``oracle``.

    Attributes:
        recipe: of the training on the target, which starts from the source detector.
    """

    recipe: Recipe = Recipe()


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the target; its held-out labelled images choose the epoch.

    Raises:
        InputError: the data holds no labelled images of the target.
    """
    from trainables.fit import fit
    from trainables.objective import SUPERVISED
    from trainables.pseudo import with_prior

    if data.oracle_train is None or data.oracle_val is None:
        raise InputError("the oracle reads the target's labelled images", fix="give it `oracle_train` and `oracle_val`")
    fitted = fit(detector, SUPERVISED, config.recipe, data.oracle_train, data.oracle_val, context)
    outcome = fitted.outcome()
    metrics = {name.replace("source_", "target_"): value for name, value in outcome.metrics.items()}
    told = Outcome(metrics=metrics, curves=outcome.curves, images=outcome.images)
    return with_prior(told, detector, data, context)

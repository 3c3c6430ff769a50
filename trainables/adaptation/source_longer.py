"""The source training goes on, and nothing is done about the target: the control for "it only trained longer"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(MemberConfig):
    """Parameters of ``source_longer``.

    Attributes:
        sees_target: target images go through the network too, without a loss of their own, so that BatchNorm
            normalises by batches of both domains: what every method that trains on both has of that alone.
        recipe: of the further training; give it that of the methods it is the control of.
    """

    sees_target: bool = False
    recipe: Recipe = Recipe(epochs=4)


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source."""
    from trainables.fit import fit
    from trainables.objective import SUPERVISED
    from trainables.pseudo import with_prior

    target = data.target if config.sees_target else None
    fitted = fit(detector, SUPERVISED, config.recipe, data.source_train, data.source_val, context, target=target)
    return with_prior(fitted.outcome(), detector, data, context)

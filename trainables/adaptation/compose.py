"""Several methods in one training: their losses are added up, their wrappers put around the step.

``{kind: compose, base: dann, with: [coral, {kind: sdat, rho: 0.05}]}``. Which methods go together is checked when the
study is loaded (``trainables.composing``). That merged methods often do not add up is a finding of the field; a
composition is a line in a study, so that it can be found out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.composing import Composition
from trainables.contract import AdaptationData, Context, Outcome
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(Composition):
    """Parameters of ``compose``.

    Attributes:
        base, also: the methods, as in ``Composition``; ``also`` is written ``with`` in a study.
        recipe: of the further training, which starts from the source detector.
    """

    recipe: Recipe = Recipe(epochs=4)


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source plus every term that the methods bring."""
    from trainables.composing import train_on

    return train_on([part.objective for part in config.parts], config.recipe, detector, data, context)

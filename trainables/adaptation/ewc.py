"""Elastic weight consolidation: parameters that earlier generators need are held where they stand, others move freely.

Kirkpatrick et al. 2017 (arXiv 1612.00796). There every task before has a penalty of its own, from when it was learnt;
here there is one, anchored where the step starts, and its Fisher information is taken there on all generators before
at once. Its images must therefore be kept, as those of ``replay`` are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveInt

from trainables.continual import Continual, learn, learnt_before, reservoir
from trainables.contract import AdaptationData, Context, Outcome

if TYPE_CHECKING:
    from trainables.detector import Detector
    from trainables.elastic import Elastic


class Config(Continual):
    """Parameters of ``ewc``.

    Attributes:
        weight: of the penalty. At 0 this is ``naive``.
        images: that the Fisher information is estimated on, as many of each earlier generator and class.
    """

    weight: NonNegativeFloat = 1000.0
    images: PositiveInt = 200


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the new generator, and ``weight / 2 * sum_i F_i (theta_i - theta_before,i)^2``.

    BatchNorm's running statistics are no parameters: they follow the new generator's images, as they do in ``naive``.

    Returns:
        Among the figures ``moved``, ``||theta - theta_before||`` over all parameters.

    Raises:
        InputError: the data holds no labelled images of the new generator, or no generator was learnt before.
    """
    if not config.weight:
        return learn(config, detector, data, context)
    from trainables.objective import Objective, classification

    penalty = elastic(config, detector, data, context)
    objective = Objective(
        terms={"classification": classification, "elastic": lambda _: penalty()}, modules={"before": penalty}
    )
    outcome = learn(config, detector, data, context, objective=objective)
    return replace(outcome, metrics={**outcome.metrics, "moved": penalty.distance()})


def elastic(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Elastic:
    """The penalty on leaving where the detector stands, by what its parameters matter to the generators before."""
    from trainables.elastic import Elastic, fisher

    images = reservoir(learnt_before(data), config.images, context.seed)
    importances = fisher(detector, images, context.device)
    return Elastic((p for p in detector.parameters() if p.requires_grad), config.weight, importances)

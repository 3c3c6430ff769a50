"""DALN: the classifier is its own domain discriminator; training goes on against it.

``L = CE(source) - weight * NWD``, with NWD the difference of the mean nuclear norms of the (B, C) predictions on source
and target (``trainables.losses.nuclear_wasserstein``). The predictions are those of features behind a gradient
reversal: the classifier raises the NWD, the features lower it. No module is added. Chen et al. 2022 (CVPR, "Reusing
the Task-specific Classifier as a Discriminator").

The authors warm the reversal up by iterations, ``2 / (1 + exp(-i / 1000)) - 1`` at the i-th; here it is warmed up by
the share of the training that is done (``trainables.adversarial.schedule``), so that short trainings reach it too.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveFloat

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from trainables.detector import Detector
    from trainables.objective import Objective, Step


class Config(MemberConfig):
    """Parameters of ``daln``.

    Attributes:
        weight: of the NWD, for classifier and features alike; 1 in the authors' code. At 0 nothing is done.
        gamma: steepness of the schedule of the reversal from 0 to 1; 10 is that of an authors' training of 10 000
            iterations.
        recipe: of the further training, which starts from the source detector.
    """

    weight: NonNegativeFloat = 1.0
    gamma: PositiveFloat = 10.0
    recipe: Recipe = Recipe(epochs=4)


def objective(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Objective | None:
    """The NWD with its sign turned, features behind a gradient reversal; the NWD itself goes to the figures."""
    import torch

    from trainables.adversarial import schedule
    from trainables.losses import gradient_reversal, nuclear_wasserstein
    from trainables.norms import still_statistics
    from trainables.objective import Objective

    def critic(step: Step) -> Tensor:
        features = torch.cat([step.features, step.target_features])
        reversed_ = gradient_reversal(features, schedule(step.progress, config.gamma))
        with still_statistics(step.detector):
            probs = torch.softmax(step.detector.classify(reversed_), dim=1)
        distance = nuclear_wasserstein(probs[: len(step.features)], probs[len(step.features) :])
        step.figures["nwd"] = distance.detach()
        return -config.weight * distance

    return Objective(terms={"daln": critic}) if config.weight else None


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source less the weighted NWD, which the features in turn lower.

    The curves carry the NWD: near 0 the classifier is as certain and as diverse on the target as on the source.
    """
    from trainables.composing import train_on

    return train_on([partial(objective, config)], config.recipe, detector, data, context)

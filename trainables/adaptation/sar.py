"""SAR: entropy minimisation on reliable images only, with sharpness-aware steps, and back to the start on collapse.

Niu et al. 2023 (arXiv 2302.12400). Source-free: no source image is trained on. The paper predicts each batch as it
adapts to it; here the target is gone through first, and one detector predicts all of it. The momentum is Nesterov's,
and the last stage's layers, which the authors leave out, are trained too.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field, NonNegativeFloat, PositiveFloat

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from trainables.detector import Detector
    from trainables.objective import Objective, Step
    from trainables.recovery import Recovery


class Config(MemberConfig):
    """Parameters of ``sar``. The entropies are shares of the largest possible, the logarithm of the number of classes.

    Attributes:
        margin: an image is reliable if its entropy is below this; .4 in the paper. With two classes that is a
            certainty above .92.
        rho: how far uphill of the entropy the gradients of a step are taken.
        floor: the parameters go back to the source's when the average entropy of reliable images falls below this.
            The paper's .2 nats for 1000 classes are a share of .029; for two classes .02 nats.
        recipe: of the training, an epoch being one pass over the target; the paper's is one, with SGD at 2.5e-4.
    """

    margin: PositiveFloat = Field(default=0.4, le=1)
    rho: NonNegativeFloat = 0.05
    floor: float = Field(default=0.029, ge=0, lt=1)
    recipe: Recipe = Recipe(
        epochs=1, learning_rate=2.5e-4, weight_decay=0, schedule="constant", flips=False, optimiser="sgd"
    )


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Train all normalisation layers, then take the target's statistics where they are BatchNorm's.

    Images count that are reliable both where the parameters stand and uphill, where the gradients of a step are taken.
    The figure ``returns`` counts how often the parameters went back; the curves' ``reliable`` is the share of images
    used.

    Raises:
        InputError: the detector has no normalisation layers, or there are fewer than two target images.
    """
    from dataclasses import replace

    from trainables.recovery import Recovery
    from trainables.source_free import train_norms

    made: list[Recovery] = []

    def build(parameters: list[nn.Parameter]) -> Objective:
        made.append(Recovery(parameters, config.floor * math.log(detector.classes), context))
        return _objective(config, made[0], detector.classes)

    outcome = train_norms(build, config.recipe, detector, data, context)
    return replace(outcome, metrics={**outcome.metrics, "returns": float(made[0].returns)})


def _objective(config: Config, recovery: Recovery, classes: int) -> Objective:
    import torch

    from trainables.losses import entropies
    from trainables.objective import Objective

    margin = config.margin * math.log(classes)
    before: list[Tensor] = []  # the images that were reliable in the step's first pass

    def certainty(step: Step) -> Tensor:
        each = entropies(torch.softmax(step.logits, dim=1))
        reliable = (each.detach() < margin).to(each.dtype)
        if before and not step.first_pass:
            reliable = reliable * before.pop()
        loss = (reliable * each).sum() / reliable.sum().clamp_min(1)
        if step.first_pass:
            before.append(reliable)
            return loss
        step.figures["reliable"] = reliable.mean()
        recovery.see(torch.where(reliable.any(), loss, torch.nan))
        return loss

    return Objective(
        terms={"entropy": certainty},
        modules={"recovery": recovery},
        sharpness=config.rho,
        uphill_of="entropy",
        after_step=[recovery.after_step],
    )

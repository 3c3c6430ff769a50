"""Mean teacher: the detector must predict on target images what the average of its own past predicts on other views.

Tarvainen & Valpola 2017 (arXiv 1703.01780); on unlabelled target images as French et al. 2018 (arXiv 1706.05208).
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field, NonNegativeFloat

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe
from trainables.views import Views

if TYPE_CHECKING:
    from torch import Tensor

    from trainables.detector import Detector
    from trainables.objective import Objective, Step


class Config(MemberConfig):
    """Parameters of ``mean_teacher``.

    Attributes:
        weight: of the consistency term at the end of its ramp. At 0 nothing is done.
        decay: a of the teacher, ``t <- a t + (1 - a) s`` after every step. .999 in the paper, for trainings of ten
            thousands of steps; with a few hundred, such a teacher would still be the source detector.
        ramp: share of the training over which the weight rises, as ``exp(-5 (1 - progress / ramp)^2)``.
        views: what the teacher is shown of an image; the student sees it as the batch has it.
        recipe: of the further training, which starts from the source detector.
    """

    weight: NonNegativeFloat = 1.0
    decay: float = Field(default=0.99, ge=0, lt=1)
    ramp: float = Field(default=0.3, gt=0, le=1)
    views: Views = Views()
    recipe: Recipe = Recipe(epochs=4)


def objective(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Objective | None:
    """Mean squared difference of the student's and the teacher's probabilities; no gradient reaches the teacher."""
    from copy import deepcopy

    import torch

    from trainables.objective import Objective

    if not config.weight:
        return None
    # Without gradients it is not trained, and stays in evaluation mode.
    teacher = deepcopy(detector).requires_grad_(False)

    def consistency(step: Step) -> Tensor:
        with torch.no_grad():
            taught: Tensor = teacher(config.views.of(step.target_images)).softmax(dim=1)
        step.figures["teacher_fake"] = (1 - taught[:, 0]).mean()
        difference = (step.target_logits.softmax(dim=1) - taught).square().mean()
        return difference * (config.weight * ramp_up(step.progress / config.ramp))

    return Objective(
        terms={"consistency": consistency},
        modules={"teacher": teacher},
        after_step=(lambda student, _: follow(teacher, student, config.decay),),
    )


def ramp_up(done: float) -> float:
    """``exp(-5 (1 - t)^2)`` with t = ``done``, cut at 1: from .007 to 1 (section 3 and appendix B of the paper)."""
    return math.exp(-5 * (1 - min(1.0, done)) ** 2)


def follow(teacher: Detector, student: Detector, decay: float) -> None:
    """One step of the moving average, ``t <- decay t + (1 - decay) s``, for every parameter of the teacher.

    Buffers are copied: BatchNorm's running statistics are averages already.
    """
    import torch

    with torch.no_grad():
        for average, latest in zip(teacher.parameters(), student.parameters(), strict=True):
            average.lerp_(latest, 1 - decay)
        for kept, buffer in zip(teacher.buffers(), student.buffers(), strict=True):
            kept.copy_(buffer)


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source plus the consistency with the teacher; the student is the result."""
    from trainables.composing import train_on

    return train_on([partial(objective, config)], config.recipe, detector, data, context)

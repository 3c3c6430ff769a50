"""MCD: two classifiers on one set of features; the features move to where both agree on the target.

``L = CE(C1) + CE(C2) - discrepancy(C1(f_t), C2(f_t))`` with f_t behind a gradient reversal: both classifiers learn the
source and disagree on the target as much as they can, and the features lower the disagreement. Saito et al. 2018
(arXiv 1712.02560), section 3, in one step with a reversal in place of the paper's three alternating steps. C1 is the
detector's own classifier; C2 starts as a copy of it with noise, is trained beside it and dropped at the end.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveFloat

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from trainables.detector import Detector
    from trainables.objective import Objective, Step


class Config(MemberConfig):
    """Parameters of ``mcd``.

    Attributes:
        weight: of the reversed gradient at the end of the schedule. At 0 nothing is done.
        gamma: steepness of the schedule from 0 to ``weight``: the second classifier learns first.
        recipe: of the further training, which starts from the source detector.
    """

    weight: NonNegativeFloat = 1.0
    gamma: PositiveFloat = 10.0
    recipe: Recipe = Recipe(epochs=4)


def objective(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Objective | None:
    """The second classifier's cross-entropy, and the discrepancy that both raise and the features lower."""
    import torch
    from torch.nn import functional

    from trainables.adversarial import schedule
    from trainables.losses import classifier_discrepancy, gradient_reversal
    from trainables.norms import still_statistics
    from trainables.objective import Objective

    if not config.weight:
        return None
    second = _second_classifier(detector, context.seed)

    def task(step: Step) -> Tensor:
        return functional.cross_entropy(second(step.features), step.labels)

    def discrepancy(step: Step) -> Tensor:
        reversed_ = gradient_reversal(step.target_features, config.weight * schedule(step.progress, config.gamma))
        with still_statistics(step.detector), still_statistics(second):
            first, other = (torch.softmax(head(reversed_), dim=1) for head in (step.detector.head, second))
        return -classifier_discrepancy(first, other)

    return Objective(terms={"second_classification": task, "mcd": discrepancy}, modules={"second_classifier": second})


def _second_classifier(detector: Detector, seed: int) -> nn.Module:
    """The detector's classifier with noise of half its weights' size: it knows the task, and differs."""
    import copy

    import torch

    from trainables.seeding import seeded

    second = copy.deepcopy(detector.head).requires_grad_()
    with seeded(seed, "second classifier"), torch.no_grad():
        for parameter in second.parameters():
            noise = torch.randn(parameter.shape, dtype=parameter.dtype).to(parameter.device)
            parameter.add_(noise * parameter.square().mean().sqrt() / 2)
    return second


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise both classifiers' cross-entropy less their discrepancy on the target, which the features lower."""
    from trainables.composing import train_on

    return train_on([partial(objective, config)], config.recipe, detector, data, context)

"""Learning without forgetting: on images of the new generator, the detector keeps to what it said before the step.

Li & Hoiem 2016 (arXiv 1606.09282). There the old answers and the new ones are of different heads; here there is one
head, so that the old answers pull against the labels wherever they were wrong, as they are of fakes that passed for
real. No image of a generator before is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat, PositiveFloat

from trainables.continual import Continual, learn
from trainables.contract import AdaptationData, Context, Outcome

if TYPE_CHECKING:
    from torch import Tensor

    from trainables.detector import Detector
    from trainables.objective import Objective, Step


class Config(Continual):
    """Parameters of ``lwf``.

    Attributes:
        weight: of the distillation. At 0 this is ``naive``.
        temperature: T, at which both answers are compared.
    """

    weight: NonNegativeFloat = 1.0
    temperature: PositiveFloat = 2.0


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the new generator, and ``weight * T^2 KL(before / T || now / T)`` on the same images.

    Raises:
        InputError: the data holds no labelled images of the new generator.
    """
    return learn(config, detector, data, context, objective=objective(config, detector) if config.weight else None)


def objective(config: Config, detector: Detector) -> Objective:
    """Cross-entropy and the distillation of the detector as it stands now; no gradient reaches that copy."""
    from copy import deepcopy

    import torch

    from trainables.losses import distillation
    from trainables.objective import Objective, classification

    # Without gradients it is not trained, and stays in evaluation mode.
    before = deepcopy(detector).requires_grad_(False)

    def kept(step: Step) -> Tensor:
        with torch.no_grad():
            said: Tensor = before(step.images)
        return config.weight * distillation(step.logits, said, config.temperature)

    return Objective(terms={"classification": classification, "distillation": kept}, modules={"before": before})

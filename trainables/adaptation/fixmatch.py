"""FixMatch: what the detector is sure of on a target image, it must also say of the image strongly changed.

Sohn et al. 2020 (arXiv 2001.07685). The strong changes are those that keep forensic traces (``trainables.views``), not
the paper's RandAugment: colour, blur and cut-out would teach the detector not to look at the trace. There are as many
target images as source images in a step, where the paper has seven times as many.
"""

from __future__ import annotations

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
    """Parameters of ``fixmatch``.

    Attributes:
        weight: of the term on target images. At 0 nothing is done.
        threshold: least probability of the predicted class.
        views: the strong view. The weak one is the image as the batch has it: mirrored, where the recipe flips.
        recipe: of the further training, which starts from the source detector.
    """

    weight: NonNegativeFloat = 1.0
    threshold: float = Field(default=0.95, ge=0, lt=1)
    views: Views = Views()
    recipe: Recipe = Recipe(epochs=4)


def objective(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Objective | None:
    """Cross-entropy of the strong view's prediction to the weak view's, over the images that are sure enough.

    ``1/B sum_i 1[max p_i >= threshold] CE(z(strong(x_i)), argmax p_i)``, equation 4 of the paper; its mean is over all
    images of the batch, sure or not. The strong view does not move BatchNorm's running statistics.
    """
    from trainables.objective import Objective

    def agreement(step: Step) -> Tensor:
        return config.weight * _agreement(step, config)

    return Objective(terms={"fixmatch": agreement}) if config.weight else None


def _agreement(step: Step, config: Config) -> Tensor:
    from torch.nn import functional

    from trainables.norms import still_statistics

    confidence, labels = step.target_logits.detach().softmax(dim=1).max(dim=1)
    sure = (confidence >= config.threshold).float()
    step.figures["pseudo_share"] = sure.mean()
    step.figures["pseudo_fake"] = (sure * (labels > 0)).sum() / sure.sum().clamp_min(1)
    with still_statistics(step.detector):
        logits = step.detector(config.views.of(step.target_images))
    return (sure * functional.cross_entropy(logits, labels, reduction="none")).mean()


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the source plus that of strong views to the labels of weak ones.

    The curves carry the share of target images that are sure enough, and the share of fakes among them.
    """
    from trainables.composing import train_on

    return train_on([partial(objective, config)], config.recipe, detector, data, context)

"""Tent: scales and shifts of BatchNorm layers are learnt so that predictions on the target become certain.

Wang et al. 2021 (arXiv 2006.10726), section 3. Source-free: no source image is trained on. The paper predicts each
batch as it adapts to it, with that batch's statistics; here the target is gone through first, and the statistics are
then those of all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import NonNegativeFloat

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from trainables.detector import Detector
    from trainables.objective import Objective, Step


class Config(MemberConfig):
    """Parameters of ``tent``.

    Attributes:
        diversity: w in ``mean_i H(p_i) - w * H(mean_i p_i)``. 0 is the paper's loss, whose best solution calls
            everything real or everything fake; 1 is information maximisation, which holds against that by taking
            both classes to be equally frequent.
        recipe: of the training, an epoch being one pass over the target; the paper's is one.
    """

    diversity: NonNegativeFloat = 0.0
    recipe: Recipe = Recipe(epochs=1, weight_decay=0, schedule="constant", flips=False)


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise the entropy of predictions, then take the target's statistics.

    The figures ``predicted_prior_before`` and ``predicted_prior`` are the shares of the target that are called fake;
    ``collapsed`` is 1 where the latter is below 5 % or above 95 %.

    Raises:
        InputError: the detector has no BatchNorm layers, or there are fewer than two target images.
    """
    from torch.nn.modules.batchnorm import _BatchNorm

    from trainables.source_free import train_norms

    return train_norms(lambda _: _objective(config), config.recipe, detector, data, context, (_BatchNorm,))


def _objective(config: Config) -> Objective:
    import torch

    from trainables.losses import entropy
    from trainables.objective import Objective

    def certainty(step: Step) -> Tensor:
        return entropy(torch.softmax(step.logits, dim=1))

    def diversity(step: Step) -> Tensor:
        return -config.diversity * entropy(torch.softmax(step.logits, dim=1).mean(dim=0, keepdim=True))

    return Objective(terms={"entropy": certainty, **({"diversity": diversity} if config.diversity else {})})

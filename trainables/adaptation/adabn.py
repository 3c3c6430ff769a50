"""AdaBN: BatchNorm statistics of the target in place of the source's; no weight is trained.

Li et al. 2016 (arXiv 1603.04779); mixing with the source's statistics as in Schneider et al. 2020 (arXiv 2006.16971).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.errors import InputError

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(MemberConfig):
    """Parameters of ``adabn``.

    Attributes:
        source_weight: w in ``w * source + (1 - w) * target``, for means and variances.
    """

    source_weight: float = Field(default=0.0, ge=0, le=1)


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Replace the running statistics of every BatchNorm layer, from the first to the last.

    Each layer's statistics are those of all its inputs over the whole target, with the layers before it already
    adapted. That costs one pass a layer, and depends neither on a batch size nor on the order of the images.

    The figures are how far the layers' means moved, and ``predicted_prior``.

    Raises:
        InputError: the detector has no BatchNorm layer.
    """
    from trainables.norms import estimate
    from trainables.pseudo import with_prior

    shifts = estimate(detector, data.target.pixels, context.device, config.source_weight)
    if not shifts:
        raise InputError(
            "adabn needs BatchNorm layers, and this detector has none", fix="leave adabn out for this detector"
        )
    metrics = {"mean_shift": sum(shifts) / len(shifts), "mean_shift_first": shifts[0], "mean_shift_last": shifts[-1]}
    return with_prior(Outcome(metrics=metrics, images=len(data.target) * len(shifts)), detector, data, context)

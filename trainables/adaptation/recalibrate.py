"""The threshold moved so that the stated share of the target is called fake; the features stay.

Tells "only the threshold moved" from "the features no longer separate": a gain of any other method counts beyond
this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(MemberConfig):
    """Parameters of ``recalibrate``.

    Attributes:
        prior: share of fakes among the target's images, as the user states it.
    """

    prior: float = Field(default=0.5, gt=0, lt=1)


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Shift the logits so that the target's (1 - prior) quantile lands at P(fake) = .5.

    The order of the scores, and so AUROC, does not change. It works on log odds: scores that P(fake) rounds to 0 or
    1 are still told apart.
    """
    from trainables.score import log_odds

    before = log_odds(detector, data.target.pixels, context.device).astype(np.float64)
    cut = threshold(before, config.prior)
    detector.shift -= cut
    called = {"before": float((before > 0).mean()), "after": float((before > cut).mean())}
    metrics = {"threshold_log_odds": cut, **{f"called_fake_{when}": share for when, share in called.items()}}
    return Outcome(metrics=metrics, images=len(before))


def threshold(scores: NDArray[np.float64], prior: float) -> float:
    """The cut between two distinct scores above which the share of scores is nearest to ``prior``.

    Equal scores stay on one side. Where all are equal no cut is better than another: it is 0, no change.
    """
    values, counts = np.unique(scores, return_counts=True)
    if len(values) < 2:
        return 0.0
    above = 1 - np.cumsum(counts)[:-1] / len(scores)
    nearest = int(np.argmin(np.abs(above - prior)))
    return float((values[nearest] + values[nearest + 1]) / 2)

"""The scores rescaled, the features left alone: a threshold from a stated prior, Platt scaling or a temperature.

Tells "only the threshold moved" from "the features no longer separate": a gain of any other method counts beyond
this one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.contract import AdaptationData, Context, Images, Outcome
from trainables.few import Drawn

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(Drawn):
    """Parameters of ``recalibrate``.

    Attributes:
        how: ``prior``: the threshold is moved until the stated share of the unlabelled target is called fake.
            ``platt``: log odds are scaled and moved, ``temperature``: logits are scaled, so that the probabilities fit
            labelled images best (``trainables.calibration``).
        prior: share of fakes among the target's images, as the user states it; for ``how: prior``.
        labels: the labelled images of the other two: held-out ones of the source, or a few of the target (``k`` of each
            class, by ``draw``).
    """

    how: Literal["prior", "platt", "temperature"] = "prior"
    prior: float = Field(default=0.5, gt=0, lt=1)
    labels: Literal["source_val", "few"] = "source_val"

    @property
    def reads_few(self) -> bool:
        """Where it is fitted on them."""
        return self.how != "prior" and self.labels == "few"


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Rescale the log odds; where they are not turned round, the order of the scores, and so AUROC, does not change.

    Raises:
        InputError: for Platt scaling and temperature: the labelled images are of one class, or too few.
    """
    from trainables.pseudo import called_fake
    from trainables.score import log_odds

    before = log_odds(detector, data.target.pixels, context.device).astype(np.float64)
    figures = _move(config, detector, before) if config.how == "prior" else _rescale(config, detector, data, context)
    after = before if config.how == "prior" else log_odds(detector, data.target.pixels, context.device)
    cut = figures.get("threshold_log_odds", 0.0)
    called = {"predicted_prior_before": called_fake(before), "predicted_prior": called_fake(after, cut)}
    return Outcome(metrics={**figures, **called}, images=len(before))


def _move(config: Config, detector: Detector, scores: NDArray[np.float64]) -> dict[str, float]:
    """Shift the logits so that the target's (1 - prior) quantile lands at P(fake) = .5.

    It works on log odds: scores that P(fake) rounds to 0 or 1 are still told apart.
    """
    from trainables.calibration import threshold

    cut = threshold(scores, config.prior)
    detector.shift -= cut
    return {"threshold_log_odds": cut}


def _rescale(config: Config, detector: Detector, data: AdaptationData, context: Context) -> dict[str, float]:
    from trainables.calibration import platt, temperature
    from trainables.score import infer

    images: Images = config.images(data, context) if config.labels == "few" else data.source_val
    logits = infer(detector, detector.forward, images.pixels, context.device).astype(np.float64)
    if config.how == "temperature":
        degree = temperature(logits, images.labels)
        detector.scale /= degree
        detector.shift /= degree
        return {"temperature": degree}
    logits[:, 1:] -= float(detector.shift)
    slope, shift = platt(logits, images.labels)
    detector.scale *= slope
    detector.shift.fill_(shift)
    return {"platt_slope": slope, "platt_shift": shift}

"""Pseudo-labels: the target's images that the detector is surest of are trained on with its own predictions as labels.

Lee 2013 ("Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method"), in rounds and with a quota for each
class, as Zou et al. 2018 (arXiv 1810.07911). Fakes of an unseen generator are often confidently called real: labels
by confidence alone would say so of all of them, and the training would confirm it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field, PositiveInt

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector
    from trainables.pseudo import Index, Predicted
    from trainables.rounds import Carried


class Config(MemberConfig):
    """Parameters of ``pseudo_label``.

    Attributes:
        rounds: how often labels are taken anew and trained on.
        threshold: least probability of the predicted class, tau, .9 where it is used; 0: the share alone decides.
        share: of the target's images that are labelled, at the most; each class gets an equal part of it.
        balanced: no class gets more labels than the one with the fewest. Where one class gets none, that round trains
            on the source alone.
        prior: share of fakes among the target's images, as the user states it: predictions are shifted to it before
            labels are taken, as ``recalibrate`` does; null: they are taken as they are.
        recipe: of each round's training on the source and the pseudo-labels, from where the last one ended.
    """

    rounds: PositiveInt = 3
    threshold: float = Field(default=0.0, ge=0, lt=1)
    share: float = Field(default=0.5, gt=0, le=1)
    balanced: bool = True
    prior: float | None = Field(default=0.5, gt=0, lt=1)
    recipe: Recipe = Recipe(epochs=2)


def chosen(config: Config, predicted: Predicted) -> Index:
    """Positions of the images that are labelled: the surest of every class, within threshold and quota."""
    import numpy as np

    from trainables.pseudo import choose

    classes = predicted.logits.shape[1]
    sure = predicted.confidence >= config.threshold
    quotas = np.full(classes, int(np.ceil(config.share * len(sure) / classes)))
    if config.balanced:
        quotas = np.minimum(quotas, np.bincount(predicted.labels[sure], minlength=classes).min())
    return choose(predicted.labels, np.where(sure, predicted.confidence, -np.inf), quotas)


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Label, train, and label again, for so many rounds; each keeps the epoch that is best on held-out source images.

    The curves carry each round's number of pseudo-labels, the share of fakes among them, 1 where they are one-sided,
    and ``predicted_prior_before``, the share of the target that the detector itself called fake before the round.
    """
    from trainables.pseudo import with_prior
    from trainables.rounds import in_rounds

    standing = in_rounds(detector, context, {}, partial(_round, config, detector, data))
    return with_prior(standing.outcome(), detector, data, context)


def _round(
    config: Config, detector: Detector, data: AdaptationData, number: int, carried: Carried, context: Context
) -> tuple[Carried, Outcome] | None:
    from dataclasses import replace

    from trainables.fit import fit
    from trainables.objective import SUPERVISED, Objective
    from trainables.pseudo import joined, predict, summary

    if number == config.rounds:
        return None
    seen = predict(detector, data.target.pixels, context)
    predicted = seen.at_prior(config.prior)
    index = chosen(config, predicted)
    labels = predicted.labels[index]
    figures = {**summary(labels), "predicted_prior_before": seen.prior}
    objective = SUPERVISED.joined(Objective(before_epoch=(lambda *_: figures,)))
    images = joined(data.source_train, data.target, index, labels)
    outcome = fit(detector, objective, config.recipe, images, data.source_val, context).outcome()
    return carried, replace(outcome, metrics={**outcome.metrics, **figures})

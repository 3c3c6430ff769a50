"""AuxSelfTrain: the source is exchanged for the target gradually, through auxiliary domains made of both.

Zhang et al. 2021 (arXiv 2106.09890). Round m of M trains on the m/M of the target that fits best, with the detector's
predictions as labels, and the 1 - m/M of the source that is nearest to the target.

The source project's variants: ST, both as above; STS, ``source: random``; STF, ``source: random`` and ``target:
random``. The paper averages the classifier's predictions with those of k-means and of label propagation; here the
classifier alone labels.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt

from trainables.contract import AdaptationData, Context, Outcome
from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector
    from trainables.pseudo import Floats, Index, Predicted
    from trainables.rounds import Carried


class Config(MemberConfig):
    """Parameters of ``auxselftrain``.

    Attributes:
        rounds: M.
        target: which target images come first: the most ``confident``, or ``random`` ones.
        source: which source images stay longest: those ``nearest`` to the target's images of their class, by the
            distance of their features to the mean, or ``random`` ones.
        prior: share of fakes among the target's images, as the user states it: predictions are shifted to it before
            labels are taken, as ``recalibrate`` does. null: they are taken as they are, as in the paper; where the
            source detector calls nearly all of the target real, the last round then trains on that.
        recipe: of each round's training, from where the last one ended.
    """

    rounds: PositiveInt = 5
    target: Literal["confident", "random"] = "confident"
    source: Literal["nearest", "random"] = "nearest"
    prior: float | None = Field(default=0.5, gt=0, lt=1)
    recipe: Recipe = Recipe(epochs=2)


def counts(number: int, rounds: int, source: int, target: int) -> tuple[int, int]:
    """Source and target images of round m = ``number``, 1 to M: ``source - floor(m/M source)``, ``floor(m/M target)``.

    Whole numbers, so that the schedule is exact: the last round has all of the target and nothing of the source.
    """
    return source - number * source // rounds, number * target // rounds


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Train M rounds; each labels anew, and keeps its last epoch.

    Its length is fixed beforehand: the epoch that is best on held-out source images would be the one least exchanged.
    The quota of each class is its share of the predictions (target) or labels (source), so no class goes first. The
    curves carry the images of both domains, and the share of fakes among the pseudo-labels.
    """
    from trainables.pseudo import with_prior
    from trainables.rounds import in_rounds

    standing = in_rounds(detector, context, {}, partial(_round, config, detector, data, context.seed))
    return with_prior(standing.outcome(), detector, data, context)


def _round(
    config: Config, detector: Detector, data: AdaptationData, seed: int, number: int, carried: Carried, context: Context
) -> tuple[Carried, Outcome] | None:
    from dataclasses import replace

    from trainables.fit import fit
    from trainables.objective import SUPERVISED, Objective
    from trainables.pseudo import joined, predict, summary
    from trainables.selection.rule import last

    if number == config.rounds:
        return None
    predicted = predict(detector, data.target.pixels, context).at_prior(config.prior)
    kept, moved = select(config, number + 1, detector, data, predicted, context, seed)
    labels = predicted.labels[moved]
    figures = {"source_images": float(len(kept)), **summary(labels)}
    objective = SUPERVISED.joined(Objective(before_epoch=(lambda *_: figures,)))
    images = joined(data.source_train, data.target, moved, labels, kept)
    outcome = fit(detector, objective, config.recipe, images, data.source_val, context, select=last).outcome()
    return carried, replace(outcome, metrics={**outcome.metrics, **figures})


def select(
    config: Config,
    number: int,
    detector: Detector,
    data: AdaptationData,
    predicted: Predicted,
    context: Context,
    seed: int,
) -> tuple[Index, Index]:
    """Positions of the source images that round ``number`` keeps, and of the target images that it takes.

    Args:
        seed: of the random orders, one for all rounds: what a round has given up does not come back.
    """
    import numpy as np

    from trainables.pseudo import apportion, choose
    from trainables.seeding import generator

    classes = predicted.logits.shape[1]
    of_source, of_target = counts(number, config.rounds, len(data.source_train), len(data.target))
    labels = data.source_train.labels
    for_source = generator(seed, "kept").random(len(labels))
    for_target = generator(seed, "taken").random(len(data.target))
    if config.source == "nearest" and of_source:
        for_source = -distances(detector, data, predicted, context)
    if config.target == "confident":
        for_target = predicted.confidence
    quotas = [
        apportion(total, np.bincount(of, minlength=classes))
        for total, of in ((of_source, labels), (of_target, predicted.labels))
    ]
    return choose(labels, for_source, quotas[0]), choose(predicted.labels, for_target, quotas[1])


def distances(detector: Detector, data: AdaptationData, predicted: Predicted, context: Context) -> Floats:
    """(N_s,) Euclidean distances of source features to the mean feature of the target's images of their class.

    Where no target image is predicted to be of a class, the mean of all target images stands for it.
    """
    import numpy as np

    from trainables.pseudo import predict

    features = predicted.features.astype(np.float64)
    members = [predicted.labels == label for label in range(predicted.logits.shape[1])]
    prototypes = np.stack([features[of if of.any() else slice(None)].mean(axis=0) for of in members])
    source = predict(detector, data.source_train.pixels, context).features
    found: Floats = np.linalg.norm(source - prototypes[data.source_train.labels], axis=1)
    return found

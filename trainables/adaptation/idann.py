"""iDANN: domain adaptation in increments; the target's surest images join the labelled ones until none is left.

Gallego, Calvo-Zaragoza & Fisher 2021 (TNNLS, arXiv 2001.04129). Each increment trains on with DANN, or with any other
composition, then moves images from the target to the labelled set with the label predicted for them. In the end the
detector can be trained on the target alone. Unlike the paper, each class has its own quota and predictions can be
shifted to a stated prior: fakes of an unseen generator are often surely called real, and would never be moved as fakes.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt

from trainables.composing import Composition
from trainables.contract import AdaptationData, Context, Outcome
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector
    from trainables.pseudo import Floats, Index, Predicted
    from trainables.rounds import Carried

POOL = -1
"""In place of a label: the image is still in the pool."""


class Config(Composition):
    """Parameters of ``idann``; ``base`` and ``with`` as in ``compose``.

    Attributes:
        policy: which images go first: those with the highest probability of their predicted class, or those most of
            whose nearest labelled images, among the source's and those moved before, have the predicted label, the
            more probable first.
        neighbours: k of the policy ``knn``.
        share: of the target's images that are moved in an increment, at the most; each class gets an equal part of it,
            and what one class lacks no other gets.
        threshold: once the surest image of the pool is less probable, all that remain are moved at once. 0: never.
        prior: share of fakes among the target's images, as the user states it: predictions of the target are shifted to
            it before labels are taken, as ``recalibrate`` does. null: they are taken as they are, as in the paper.
        final: a last training on the target alone, with its pseudo-labels: ``none``; from the detector as it is
            (``continue``); or from random weights (``fresh``, as in the paper), which also gives up what the source
            detector was pretrained on.
        final_epochs: of the last training.
        recipe: of each increment's training, and but for its epochs of the last.
    """

    policy: Literal["confidence", "knn"] = "confidence"
    neighbours: PositiveInt = 5
    share: float = Field(default=0.2, gt=0, le=1)
    threshold: float = Field(default=0.0, ge=0, le=1)
    prior: float | None = Field(default=0.5, gt=0, lt=1)
    final: Literal["none", "continue", "fresh"] = "continue"
    final_epochs: PositiveInt = 4
    recipe: Recipe = Recipe(epochs=2)

    @property
    def title(self) -> str | None:
        """``idann-daln-sdat``; ``idann`` over DANN alone, the paper's."""
        kinds = [part.kind for part in self.parts]
        return None if kinds == ["dann"] else "-".join(["idann", *kinds])


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Train, move and train again until the pool is empty, then on the target alone.

    Each increment keeps the epoch that is best on held-out source images; the last training, on the target alone, its
    last epoch. The curves carry the images left in the pool, and ``moved_fake``, the share of fakes among those moved
    before.

    Raises:
        InputError: ``final: fresh``, and a part of the detector cannot be given new random weights.
    """
    import torch

    from trainables.freezing import to_renew
    from trainables.pseudo import summary, with_prior
    from trainables.rounds import in_rounds

    if config.final == "fresh":
        to_renew(detector)
    start = {"assigned": torch.full((len(data.target),), POOL), "finished": config.final == "none"}
    standing = in_rounds(detector, context, start, partial(_increment, config, detector, data))
    figures = summary(standing.carried["assigned"].numpy())
    return with_prior(standing.outcome(), detector, data, context, **figures)


def _increment(
    config: Config, detector: Detector, data: AdaptationData, number: int, carried: Carried, context: Context
) -> tuple[Carried, Outcome] | None:
    import numpy as np
    import torch

    assigned = carried["assigned"].numpy().copy()
    pool = np.flatnonzero(assigned == POOL)
    if not len(pool):
        if carried["finished"]:
            return None
        return {**carried, "finished": True}, _final(config, detector, data, assigned, context)
    outcome = _train(config, detector, data, assigned, context)
    moved, labels = _move(config, detector, data, assigned, context)
    assigned[moved] = labels
    return {**carried, "assigned": torch.from_numpy(assigned)}, outcome


def _train(config: Config, detector: Detector, data: AdaptationData, assigned: Index, context: Context) -> Outcome:
    """The composition's training on the source and the images moved before, against those left in the pool."""
    import numpy as np

    from trainables.composing import train_together
    from trainables.objective import Objective
    from trainables.pseudo import joined, subset

    pool, moved = (np.flatnonzero(which) for which in (assigned == POOL, assigned != POOL))
    left = replace(
        data,
        source_train=joined(data.source_train, data.target, moved, assigned[moved]),
        target=subset(data.target, pool),
    )
    fake = float((assigned[moved] > 0).mean()) if len(moved) else 0.0
    tell = Objective(before_epoch=(lambda *_: {"pool": float(len(pool)), "moved_fake": fake},))
    builds = [part.objective for part in config.parts]
    # What tells the figures also makes it a training where all of the methods' weights are 0.
    return train_together([*builds, lambda *_: tell], config.recipe, detector, left, context)


def _move(
    config: Config, detector: Detector, data: AdaptationData, assigned: Index, context: Context
) -> tuple[Index, Index]:
    """Positions of the images that leave the pool, and their labels."""
    import numpy as np

    from trainables.pseudo import choose, predict

    pool = np.flatnonzero(assigned == POOL)
    # The prior is that of the target: what is left of it has another one, and in the end is a single image.
    predicted = predict(detector, data.target.pixels, context).at_prior(config.prior).take(pool)
    if predicted.confidence.max() < config.threshold:
        return pool, predicted.labels
    classes = predicted.logits.shape[1]
    quota = int(np.ceil(config.share * len(assigned) / classes))
    scores = _scores(config, predicted, detector, data, assigned, context)
    best = choose(predicted.labels, scores, np.full(classes, quota))
    return pool[best], predicted.labels[best]


def _scores(
    config: Config, predicted: Predicted, detector: Detector, data: AdaptationData, assigned: Index, context: Context
) -> Floats:
    """(N,) by the policy; the higher, the earlier an image of the pool is moved."""
    import numpy as np

    from trainables.pseudo import agreement, joined, predict

    if config.policy == "confidence":
        return predicted.confidence
    moved = np.flatnonzero(assigned != POOL)
    known = joined(data.source_train, data.target, moved, assigned[moved])
    of_known = predict(detector, known.pixels, context).features
    share = agreement(predicted.features, predicted.labels, of_known, known.labels, config.neighbours)
    # A neighbour counts 1/k; probabilities, below 1, decide between equals.
    return share * config.neighbours + predicted.confidence / 2


def _final(config: Config, detector: Detector, data: AdaptationData, assigned: Index, context: Context) -> Outcome:
    from trainables.fit import fit
    from trainables.freezing import renew
    from trainables.objective import SUPERVISED
    from trainables.pseudo import labelled
    from trainables.selection.rule import last

    if config.final == "fresh":
        renew(detector, context.seed)
    recipe = config.recipe.model_copy(update={"epochs": config.final_epochs})
    images = labelled(data.target, assigned)
    return fit(detector, SUPERVISED, recipe, images, data.source_val, context, select=last).outcome()

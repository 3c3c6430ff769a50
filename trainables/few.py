"""Adaptation with a few labelled images of the target: which images they are, and training on them.

Importing this imports no torch, so that the members' Configs can be built on ``FewShot``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from trainables.contract import FAKE, REAL, AdaptationData, Config, Context, Images, Outcome
from trainables.data.stack import together
from trainables.errors import InputError
from trainables.recipe import Recipe
from trainables.seeding import generator

if TYPE_CHECKING:
    from torch import nn

    from trainables.detector import Detector


class Drawn(Config):
    """Which labelled target images a method may use.

    Attributes:
        k: images of each class, from the target's ``few`` split.
        draw: number of the draw. Which images they are can matter more than the method does: repeat with several draws.
            Within one draw and seed, a smaller k takes a part of the images of a larger one.
    """

    k: int = Field(default=10, ge=1, le=100)
    draw: NonNegativeInt = 0

    def images(self, data: AdaptationData, context: Context) -> Images:
        """The 2k labelled images, real and fake by turns.

        Raises:
            InputError: there are fewer than k of a class.
        """
        if data.few is None:
            raise InputError("this method reads labelled images of the target", fix="give it the target's few split")
        return drawn(data.few, self.k, context.seed, "few", self.draw)


class FewShot(Drawn):
    """How a detector is trained on a few labelled images of the target.

    The length is fixed beforehand and the last epoch is kept: there are no labelled target images left to choose with.

    Attributes:
        replay: source images of each class that are trained on too. They count by number: with k = 10 and 100 of these
            ten images in eleven are the source's.
        anchor: a in the penalty ``a/2 * ||theta - theta_source||^2`` (L2-SP).
        steps: optimiser steps an epoch, at the least: the images are gone through as often as that takes, and once at
            the least.
        recipe: of the training, which starts from the source detector.
    """

    replay: NonNegativeInt = 0
    anchor: NonNegativeFloat = 0.01
    steps: PositiveInt = 20
    recipe: Recipe = Recipe(epochs=10, batch=16, learning_rate=1e-4, weight_decay=0)


class FineTuning(FewShot):
    """How a detector's own parameters are trained on a few labelled images of the target.

    Attributes:
        batch_statistics: of the parts that are trained, train the normalisation layers too, and let BatchNorm see
            batches of these images. Without it these layers stay as the source left them, which may be better where k
            is 1 or 2. Parts without such layers, a linear head for one, are trained alike with and without it.
    """

    batch_statistics: bool = True


def drawn(images: Images, k: int, seed: int, *stream: str | int) -> Images:
    """k images of each class at random, all squares of each; classes by turns.

    Raises:
        InputError: there are fewer than k of a class.
    """
    firsts = images.labels[:: images.views]
    chosen = []
    for label, name in ((REAL, "real"), (FAKE, "fake")):
        pool = np.flatnonzero(np.minimum(firsts, FAKE) == label)
        if len(pool) < k:
            fix = f"take k of {len(pool)} at most, or give the split a larger share in `splits`"
            problem = f"{k} {name} images are wanted, and there are {len(pool)} to draw from"
            raise InputError(problem, value=f"k: {k}", fix=fix if len(pool) else "give the split a larger share")
        chosen.append(pool[generator(seed, *stream, label).permutation(len(pool))[:k]])
    squares = np.stack(chosen, axis=1).reshape(-1)[:, None] * images.views + np.arange(images.views)
    return images.take(squares.reshape(-1))


def train_on_few(
    config: FewShot,
    detector: Detector,
    data: AdaptationData,
    context: Context,
    trained: Callable[[Detector], Iterable[nn.Parameter]] | None = None,
) -> Outcome:
    """Cross-entropy on k target images a class, and on source images where the config asks for them.

    Args:
        trained: the detector's parameters that are trained; all if not given. Those of normalisation layers are not
            among them where ``FineTuning.batch_statistics`` is off.

    Raises:
        InputError: there are fewer than k images of a class, or nothing to train.
    """
    from trainables.anchor import Anchor
    from trainables.fit import fit
    from trainables.objective import Objective, classification
    from trainables.pseudo import with_prior
    from trainables.score import log_odds
    from trainables.selection.rule import last

    few = config.images(data, context)
    chosen = _trained(config, detector, trained)
    anchor = Anchor(chosen, config.anchor)
    penalty = {"anchor": lambda _: anchor()} if config.anchor else {}
    objective = Objective(
        terms={"classification": classification, **penalty}, modules={"start": anchor}, trainable=lambda _: chosen
    )
    images = [few, drawn(data.source_train, config.replay, context.seed, "replay")] if config.replay else [few]
    stream = _cycled(images, config.steps, config.recipe.batch)
    fitted = fit(detector, objective, config.recipe, stream, data.source_val, context, select=last)
    right = (log_odds(detector, few.pixels, context.device) > 0) == (few.labels != REAL)
    outcome = fitted.outcome()
    told = {"few_images": float(len(few)), "few_accuracy": float(right.mean()), "moved": anchor.distance()}
    return with_prior(outcome, detector, data, context, **told)


def _trained(
    config: FewShot, detector: Detector, trained: Callable[[Detector], Iterable[nn.Parameter]] | None
) -> list[nn.Parameter]:
    from trainables.norms import of_norms

    chosen = [p for p in (detector.parameters() if trained is None else trained(detector)) if p.requires_grad]
    if isinstance(config, FineTuning) and not config.batch_statistics:
        norms = {id(parameter) for parameter in of_norms(detector)}
        chosen = [parameter for parameter in chosen if id(parameter) not in norms]
    if not chosen:
        fix = "choose other layers, or set `batch_statistics: true`"
        raise InputError("there is nothing to train but normalisation layers", fix=fix)
    return chosen


def _cycled(sets: list[Images], steps: int, batch: int) -> Images:
    """Whole batches, ``steps`` at the least and as many as it takes for every image to be in one.

    They are the images of all sets one after the other, again and again; no pixel is copied.
    """
    total = sum(len(images) for images in sets)
    order: NDArray[np.int64] = np.arange(batch * max(steps, -(-total // batch))) % total
    return together(sets, order)

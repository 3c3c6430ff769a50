"""Generators learnt one after the other, with labels: what a step may read, and the training that all methods share.

The detector has one head for all generators, and is never told which of them an image is of: domain-incremental
learning, in the words of van de Ven & Tolias 2019 (arXiv 1904.07734).

Importing this imports no torch, so that the members' Configs can be built on ``Continual``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trainables.contract import FAKE, REAL, AdaptationData, Config, Context, Images, Outcome
from trainables.data.stack import together
from trainables.errors import InputError
from trainables.recipe import Recipe
from trainables.seeding import generator

if TYPE_CHECKING:
    from trainables.detector import Detector
    from trainables.objective import Objective


class Continual(Config):
    """How a step of a sequence trains.

    Attributes:
        recipe: of the training, which starts from where the step before left the detector. Give all methods of a
            sequence the same one: ``naive`` and ``joint`` are bounds of what is trained like them.
    """

    recipe: Recipe = Recipe()


def learn(
    config: Continual,
    detector: Detector,
    data: AdaptationData,
    context: Context,
    *,
    images: Images | None = None,
    objective: Objective | None = None,
) -> Outcome:
    """Train on labelled images; held-out labelled images of the new generator choose the epoch.

    These say nothing of the generators before: of two epochs that know the new one alike, the later is kept, whatever
    it has forgotten.

    Args:
        images: what is trained on; those of the new generator if not given.
        objective: what is minimised; cross-entropy if not given.

    Raises:
        InputError: the data holds no labelled images of the new generator.
    """
    from trainables.fit import fit
    from trainables.objective import SUPERVISED
    from trainables.pseudo import with_prior
    from trainables.selection.rule import source_val

    if data.oracle_train is None or data.oracle_val is None:
        fix = "give it `oracle_train` and `oracle_val`"
        raise InputError("a step of a sequence reads labelled images of the new generator", fix=fix)
    shown = data.oracle_train if images is None else images
    fitted = fit(detector, objective or SUPERVISED, config.recipe, shown, data.oracle_val, context, select=source_val)
    outcome = fitted.outcome()
    metrics = {name.replace("source_", "target_"): value for name, value in outcome.metrics.items()}
    return with_prior(replace(outcome, metrics=metrics), detector, data, context)


def learnt_before(data: AdaptationData) -> Sequence[Images]:
    """The labelled images of every generator before, in the order in which they were learnt.

    Raises:
        InputError: there is none.
    """
    if not data.earlier:
        raise InputError("no generator was learnt before this one", fix="give the step `earlier`, or use `naive`")
    return data.earlier


def reservoir(earlier: Sequence[Images], count: int, seed: int) -> Images:
    """``count`` images of earlier generators, as many of each generator and class; no image is in it twice.

    The images of each generator and class are put in an order by the seed, and the first are taken: ``count`` over the
    number of these groups, the first groups one more where that is no whole number, and all of a group that is smaller.
    As generators are learnt, each group gives images up and gets none back, so every reservoir is part of the one
    before and the images that are new: it could be kept with nothing else at hand.

    Args:
        earlier: in the order in which they were learnt.
    """
    from trainables.score import digest_of

    taken: set[str] = set()
    parts = []
    groups = [(place, label) for place in range(len(earlier)) for label in (REAL, FAKE)]
    for number, (place, label) in enumerate(groups):
        images = earlier[place]
        digests = [digest_of(square) for square in images.ids]
        pool = sorted({name for name, of in zip(digests, images.labels, strict=True) if of == label})
        order = generator(seed, "reservoir", place, label).permutation(len(pool))
        share = max(0, -(-(count - number) // len(groups)))
        # Generators may have real images in common.
        kept = set([pool[i] for i in order if pool[i] not in taken][:share])
        taken |= kept
        parts.append(images.take(np.flatnonzero([name in kept for name in digests])))
    return together(parts)

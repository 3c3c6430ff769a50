"""Source-free training of normalisation layers on unlabelled images: what Tent and SAR have in common.

Both learn scales and shifts of normalisation layers from the entropy of predictions, and normalise by the statistics of
target batches. A detector is scored image by image, so at the end each BatchNorm layer's statistics become those of the
whole target: without a single step the result is AdaBN's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from trainables.contract import AdaptationData, Context, Outcome, Unlabelled
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.fit import fit
from trainables.norms import NORMS, estimate, of_norms
from trainables.objective import Objective
from trainables.pseudo import called_fake, labelled
from trainables.recipe import Recipe
from trainables.score import log_odds
from trainables.selection.rule import last

PLAUSIBLE = (0.05, 0.95)
"""Shares of images called fake; beyond, the predictions have collapsed to one class."""


def train_norms(
    build: Callable[[list[torch.nn.Parameter]], Objective],
    recipe: Recipe,
    detector: Detector,
    data: AdaptationData,
    context: Context,
    kinds: tuple[type[torch.nn.Module], ...] = NORMS,
) -> Outcome:
    """Train the normalisation layers on the target; the epoch that counts is the last.

    Args:
        build: makes the objective of the parameters that will be trained.
        recipe: an epoch is one pass over the target.
        kinds: of normalisation layers.

    Raises:
        InputError: the detector has no such layers, or there are fewer than two target images.
    """
    parameters = [parameter for parameter in of_norms(detector, kinds) if parameter.requires_grad]
    if not parameters:
        wanted = "BatchNorm" if len(kinds) == 1 else "normalisation"
        problem = f"this method trains {wanted} layers, and this detector has none with parameters"
        raise InputError(problem, fix="leave it out for this detector")
    before = _predictions("_before", detector, data.target, context)
    objective = replace(build(parameters), trainable=lambda _: parameters)
    stream = labelled(data.target, np.full(len(data.target), -1))  # labels that no term reads
    fitted = fit(detector, objective, recipe, stream, data.source_val, context, select=last)
    shifts = estimate(detector, data.target.pixels, context.device)
    after = _predictions("", detector, data.target, context)
    low, high = PLAUSIBLE
    collapsed = float(not low <= after["predicted_prior"] <= high)
    figures = {**before, **after, "collapsed": collapsed, "epoch": float(recipe.epochs)}
    passed = fitted.images + (2 + len(shifts)) * len(data.target)
    return Outcome(metrics=figures, curves=fitted.curves, images=passed)


def _predictions(when: str, detector: Detector, target: Unlabelled, context: Context) -> dict[str, float]:
    """Share of the target that is called fake, and the mean entropy of real against fake, in nats."""
    odds = log_odds(detector, target.pixels, context.device)
    z = torch.from_numpy(odds).double()
    entropy = torch.special.entr(torch.sigmoid(z)) + torch.special.entr(torch.sigmoid(-z))
    return {f"predicted_prior{when}": called_fake(odds), f"entropy{when}": float(entropy.mean())}

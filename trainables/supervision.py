"""The cross-entropy on labelled images as a recipe wants it: weighted by class, with smoothed labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from trainables.errors import InputError
from trainables.objective import Objective, Step, Term, classification
from trainables.recipe import Recipe

TASK = "classification"
"""Name of the term."""


def supervised(objective: Objective, recipe: Recipe, labels: NDArray[np.int64], classes: int) -> Objective:
    """The objective with its cross-entropy as the recipe wants it; itself where that is the plain one.

    Args:
        labels: (N,) of all labelled images that are trained on.
        classes: C.

    Raises:
        InputError: the objective has no plain cross-entropy, or the weights do not fit the labels.
    """
    if recipe.class_weights == "none" and not recipe.label_smoothing:
        return objective
    if objective.terms.get(TASK) is not classification:
        fix = "leave `recipe.class_weights` and `recipe.label_smoothing` out"
        raise InputError("this method has no plain cross-entropy on labelled images to change", fix=fix)
    weights = class_weights(recipe, labels, classes)
    return replace(objective, terms={**objective.terms, TASK: _cross_entropy(weights, recipe.label_smoothing)})


def class_weights(recipe: Recipe, labels: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """(C,) weights whose mean over the images is 1: ``w_c / sum_k p_k w_k`` with p the shares of the classes.

    A class without images has a weight too (smoothed labels put mass on it): of ``balanced`` that of the rarest one.

    Raises:
        InputError: not as many weights as classes, or all images are of one class.
    """
    shares = np.bincount(labels, minlength=classes) / len(labels)
    if recipe.class_weights == "none":
        return np.ones(classes)
    if shares.max() == 1:
        raise InputError("images of one class cannot be weighted by class", where="recipe.class_weights")
    given = {"balanced": 1 / np.maximum(shares, shares[shares > 0].min()), "complement": 1 - shares}
    chosen = recipe.class_weights
    weights = given[chosen] if isinstance(chosen, str) else np.array(chosen)
    if len(weights) != classes:
        problem = f"the detector has {classes} classes"
        raise InputError(problem, where="recipe.class_weights", value=list(weights), fix="give one weight for each")
    found: NDArray[np.float64] = weights / (shares @ weights)
    return found


def _cross_entropy(weights: NDArray[np.float64], smoothing: float) -> Term:
    """``mean_i sum_c -q_ic w_c log p_ic``, q the smoothed labels: torch's, but for the sum of weights it divides by.

    Divided by the number of images the step is one and the same in however many parts or on however many workers.
    """
    on_cpu = torch.from_numpy(weights).float()

    def term(step: Step) -> torch.Tensor:
        weight = on_cpu.to(step.logits.device, step.logits.dtype, non_blocking=True)
        losses = functional.cross_entropy(step.logits, step.labels, weight, reduction="none", label_smoothing=smoothing)
        return losses.mean()

    return term

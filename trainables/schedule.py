"""What a recipe makes of the epochs so far: the learning rate, and whether the training is at its end.

Both are functions of the recipe and the curves alone. The curves are part of a fit's state and the same on every rank,
so a fit that was interrupted, and every worker of a group, decides as one that ran through alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from trainables.recipe import Recipe

Curves = Sequence[Mapping[str, float]]


def learning_rate(recipe: Recipe, curves: Curves) -> Callable[[float], float]:
    """The rate within the epoch that comes after these, by the share of the whole training that is done, in [0, 1).

    ``constant``: r; ``cosine``: r (1 + cos(pi p)) / 2 (Loshchilov & Hutter 2017, arXiv 1608.03983, without restarts);
    ``step``: r gamma^floor(e / step_size) in epoch e = 0, 1, …; ``plateau``: r gamma^d after d waits in vain.
    """
    rate = recipe.learning_rate
    if recipe.schedule == "cosine":
        return lambda progress: rate * (1 + math.cos(math.pi * progress)) / 2
    lowered = {"step": len(curves) // recipe.step_size, "plateau": waits_in_vain(recipe, curves)}
    now = rate * recipe.gamma ** lowered.get(recipe.schedule, 0)
    return lambda _: now


def finished(recipe: Recipe, curves: Curves) -> bool:
    """Whether no epoch follows these: there were all, or the recipe's patience is at its end."""
    if len(curves) >= recipe.epochs:
        return True
    if recipe.schedule == "plateau":
        # A hair's breadth for rounding: 1e-3 lowered three times by .1 is not below 1e-6.
        return learning_rate(recipe, curves)(0.0) < recipe.floor * (1 - 1e-9)
    return waits_in_vain(recipe, curves) > 0


def waits_in_vain(recipe: Recipe, curves: Curves) -> int:
    """How often ``patience`` epochs in a row had no better figure than the best since the last such wait."""
    if recipe.patience is None:
        return 0
    count, waited, best = 0, 0, -math.inf
    for row in curves:
        figure = -row["val_loss"] if recipe.monitor == "loss" else row["val_accuracy"]
        waited, best = (0, figure) if figure > best else (waited + 1, best)
        if waited == recipe.patience:
            count, waited, best = count + 1, 0, -math.inf
    return count

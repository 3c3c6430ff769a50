"""Weight of the alignment, length and learning rate of Deep CORAL."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, further_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``coral``'s Config; the weight over the 1 to 100 that keep both terms alike, and beyond."""
    return {
        "weight": trial.suggest_float("weight", 0.1, 1000, log=True),
        "recipe": further_training(trial),
    }

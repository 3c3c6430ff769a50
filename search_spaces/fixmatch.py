"""Weight, threshold and training of FixMatch."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, further_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``fixmatch``'s Config."""
    return {
        "weight": trial.suggest_float("weight", 0.1, 10, log=True),
        "threshold": trial.suggest_categorical("threshold", [0.7, 0.8, 0.9, 0.95]),
        "recipe": further_training(trial),
    }

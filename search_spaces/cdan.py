"""Weight and steepness of the reversal, discriminator and training of CDAN."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, further_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``cdan``'s Config; gamma from the slow schedule of reference code (1) to the paper's (10)."""
    return {
        "weight": trial.suggest_float("weight", 0.1, 3, log=True),
        "gamma": trial.suggest_float("gamma", 1, 10, log=True),
        "hidden": trial.suggest_categorical("hidden", [64, 256, 1024]),
        "by_certainty": trial.suggest_categorical("by_certainty", [True, False]),
        "recipe": further_training(trial),
    }

"""Weight and steepness of the reversal, discriminator and training of DANN."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, further_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``dann``'s Config; gamma from the slow schedule of reference code (1) to the paper's (10)."""
    return {
        "weight": trial.suggest_float("weight", 0.1, 3, log=True),
        "gamma": trial.suggest_float("gamma", 1, 10, log=True),
        "hidden": trial.suggest_categorical("hidden", [64, 256, 1024]),
        "recipe": further_training(trial),
    }

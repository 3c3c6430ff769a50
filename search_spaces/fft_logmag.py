"""Learning rate, weight decay and optimiser of a network on log magnitudes of frequencies."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``fft_logmag``'s Config."""
    return {
        "recipe": {
            "optimiser": trial.suggest_categorical("optimiser", ["adamw", "sgd"]),
            "learning_rate": trial.suggest_float("learning_rate", 3e-5, 3e-2, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        },
    }

"""Threshold, share, rounds and training of pseudo-labels."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``pseudo_label``'s Config; without a threshold, the share alone decides."""
    return {
        "rounds": trial.suggest_int("rounds", 1, 5),
        "threshold": trial.suggest_categorical("threshold", [0.0, 0.8, 0.9, 0.95]),
        "share": trial.suggest_float("share", 0.2, 1.0),
        "recipe": {
            "epochs": trial.suggest_int("epochs", 1, 4),
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        },
    }

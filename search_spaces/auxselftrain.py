"""Rounds and training of AuxSelfTrain."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``auxselftrain``'s Config; which images are taken is the method, and not tuned."""
    return {
        "rounds": trial.suggest_int("rounds", 2, 10),
        "recipe": {
            "epochs": trial.suggest_int("epochs", 1, 4),
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        },
    }

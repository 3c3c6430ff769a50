"""Policy, pace and training of iDANN; the parameters of the methods it goes over keep their values."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``idann``'s Config; a share of s takes 1/s increments at the least, each of so many epochs."""
    return {
        "policy": trial.suggest_categorical("policy", ["confidence", "knn"]),
        "share": trial.suggest_categorical("share", [0.1, 0.2, 0.5]),
        "final": trial.suggest_categorical("final", ["none", "continue"]),
        "recipe": {
            "epochs": trial.suggest_int("epochs", 1, 3),
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        },
    }

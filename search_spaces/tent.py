"""Diversity, length and learning rate of Tent."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``tent``'s Config; from the paper's loss (0) to information maximisation (1)."""
    return {
        "diversity": trial.suggest_float("diversity", 0, 1),
        "recipe": {
            "epochs": trial.suggest_int("epochs", 1, 5),
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        },
    }

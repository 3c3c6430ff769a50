"""Rank, scale, length and learning rate of LoRA."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``lora``'s Config; k and the draw are the study's."""
    return {
        "rank": trial.suggest_categorical("rank", [1, 2, 4, 8, 16]),
        "alpha": trial.suggest_float("alpha", 1, 64, log=True),
        "recipe": {
            "epochs": trial.suggest_int("epochs", 2, 20),
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        },
    }

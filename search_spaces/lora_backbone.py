"""Rank, scale and learning rate of a network's low-rank corrections."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``lora_backbone``'s Config."""
    return {
        "rank": trial.suggest_categorical("rank", [1, 2, 4, 8, 16]),
        "alpha": trial.suggest_float("alpha", 1, 64, log=True),
        "recipe": {
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        },
    }

"""Depth, length and learning rate of layer-wise fine-tuning."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``finetune``'s Config; k and the draw are the study's."""
    return {
        "trainable": trial.suggest_categorical("trainable", ["head", "last:1", "last:2", "last:3", "all"]),
        "recipe": {
            "epochs": trial.suggest_int("epochs", 2, 20),
            "learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True),
        },
    }

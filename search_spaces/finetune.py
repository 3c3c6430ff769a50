"""Depth, length and learning rate of layer-wise fine-tuning."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, fine_tuning


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``finetune``'s Config; k and the draw are the study's."""
    return {
        "trainable": trial.suggest_categorical("trainable", ["head", "last:1", "last:2", "last:3", "all"]),
        "recipe": fine_tuning(trial),
    }

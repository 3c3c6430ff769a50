"""Learning rate and patience of CNNDetection, and how often its training images are blurred and compressed."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``cnndetection``'s Config."""
    return {
        "recipe": {
            "learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-3, log=True),
            "patience": trial.suggest_int("patience", 3, 10),
            "augment": {
                "blur": trial.suggest_float("blur", 0, 0.5),
                "jpeg": trial.suggest_float("jpeg", 0, 0.5),
            },
        },
    }

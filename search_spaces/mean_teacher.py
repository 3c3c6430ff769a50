"""Weight, teacher and training of mean teacher."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, further_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``mean_teacher``'s Config; a mean squared difference of probabilities is small, so weights go far."""
    return {
        "weight": trial.suggest_float("weight", 0.1, 100, log=True),
        "decay": trial.suggest_categorical("decay", [0.9, 0.97, 0.99, 0.997]),
        "recipe": further_training(trial),
    }

"""Width, learning rate and weight decay of the small residual CNN."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``residual_cnn``'s Config."""
    return {
        "width": trial.suggest_int("width", 4, 16, step=4),
        "recipe": {
            "learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        },
    }

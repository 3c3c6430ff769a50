"""Width of the small body, learning rate and weight decay of the detector by neighbouring pixels."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``npr``'s Config."""
    return {
        "width": trial.suggest_int("width", 4, 16, step=4),
        "recipe": {
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        },
    }

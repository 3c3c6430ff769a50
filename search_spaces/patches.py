"""Width of the small body, epochs and learning rate of the detector that learns from single patches."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``patches``'s Config."""
    return {
        "width": trial.suggest_int("width", 4, 16, step=4),
        "recipe": {
            "epochs": trial.suggest_int("epochs", 5, 40),
            "learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
        },
    }

"""Length and learning rate of the training on the target's labels."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``oracle``'s Config."""
    return {
        "recipe": {
            "epochs": trial.suggest_int("epochs", 2, 20),
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
        },
    }

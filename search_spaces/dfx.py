"""Learning rate and weight decay of a fusion; its specialists are the same in every trial."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``dfx``'s Config."""
    return {
        "recipe": {
            "learning_rate": trial.suggest_float("learning_rate", 3e-5, 3e-3, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        },
    }

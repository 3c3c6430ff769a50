"""Weight of the pseudo-labels and training of SHOT."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``shot``'s Config; beta about the paper's .3, information maximisation as it is."""
    return {
        "beta": trial.suggest_float("beta", 0.03, 1, log=True),
        "recipe": {
            "epochs": trial.suggest_int("epochs", 2, 16),
            "learning_rate": trial.suggest_float("learning_rate", 3e-5, 3e-3, log=True),
        },
    }

"""Number of constrained filters, width and learning rate of the CNN that learns its prediction errors."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``constrained``'s Config."""
    return {
        "filters": trial.suggest_int("filters", 3, 24, step=3),
        "width": trial.suggest_int("width", 4, 16, step=4),
        "recipe": {"learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True)},
    }

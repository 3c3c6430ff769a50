"""Size of the patches, width and learning rate of the detector of rich and poor texture."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``patchcraft``'s Config; images must be twice as large as a patch."""
    return {
        "patch": trial.suggest_categorical("patch", [8, 16, 32]),
        "width": trial.suggest_int("width", 8, 32, step=8),
        "recipe": {"learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True)},
    }

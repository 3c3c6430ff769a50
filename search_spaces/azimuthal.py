"""Head, penalty and bins of the azimuthal spectrum."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``azimuthal``'s Config."""
    return {
        "bins": trial.suggest_int("bins", 16, 128, step=16),
        "head": trial.suggest_categorical("head", ["svm", "logistic"]),
        "penalty": trial.suggest_float("penalty", 1e-4, 1e2, log=True),
    }

"""Head and penalty of a solved head on a network's features."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``frozen``'s Config."""
    return {
        "head": trial.suggest_categorical("head", ["svm", "logistic", "ridge"]),
        "penalty": trial.suggest_float("penalty", 1e-3, 1e4, log=True),
    }

"""Head and penalty of a solved head on cosine coefficients."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``dct``'s Config."""
    return {
        "head": trial.suggest_categorical("head", ["ridge", "logistic"]),
        "penalty": trial.suggest_float("penalty", 1e-1, 1e6, log=True),
    }

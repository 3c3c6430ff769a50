"""Quantisation, width and learning rate of the rich-model CNN."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``srm``'s Config."""
    return {
        "step": trial.suggest_float("step", 0.5, 8, log=True),
        "truncation": trial.suggest_int("truncation", 1, 4),
        "width": trial.suggest_int("width", 4, 16, step=4),
        "recipe": {"learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True)},
    }

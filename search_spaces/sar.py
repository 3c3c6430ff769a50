"""Reliability, sharpness, length and learning rate of SAR."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``sar``'s Config; the learning rate about the authors' 2.5e-4 and above."""
    return {
        "margin": trial.suggest_float("margin", 0.1, 0.9),
        "rho": trial.suggest_float("rho", 0.01, 0.2, log=True),
        "recipe": {
            "epochs": trial.suggest_int("epochs", 1, 5),
            "learning_rate": trial.suggest_float("learning_rate", 2.5e-5, 2.5e-2, log=True),
        },
    }

"""Anchor, length and learning rate of the fine-tuning after the probe."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``lp_ft``'s Config; k and the draw are the study's."""
    return {
        "anchor": trial.suggest_float("anchor", 1e-4, 1, log=True),
        "recipe": {
            "epochs": trial.suggest_int("epochs", 2, 20),
            "learning_rate": trial.suggest_float("learning_rate", 1e-6, 1e-3, log=True),
        },
    }

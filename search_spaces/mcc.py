"""Weight and temperature of the class confusion, length and learning rate of MCC."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, further_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``mcc``'s Config; the temperature around the paper's 2.5."""
    return {
        "weight": trial.suggest_float("weight", 0.05, 3, log=True),
        "temperature": trial.suggest_float("temperature", 1, 4),
        "recipe": further_training(trial),
    }

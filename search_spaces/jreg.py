"""Weight of the Jacobian, length and learning rate of JREG."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, further_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``jreg``'s Config; the weight around the .01 of Hoffman et al."""
    return {
        "weight": trial.suggest_float("weight", 0.0001, 1, log=True),
        "recipe": further_training(trial),
    }

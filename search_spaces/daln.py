"""Weight of the NWD, steepness of the reversal and training of DALN."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, further_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``daln``'s Config; gamma from the authors' slow schedule (1) to DANN's (10)."""
    return {
        "weight": trial.suggest_float("weight", 0.1, 3, log=True),
        "gamma": trial.suggest_float("gamma", 1, 10, log=True),
        "recipe": further_training(trial),
    }

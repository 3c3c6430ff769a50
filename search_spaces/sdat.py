"""Distance at which SDAT takes its gradients, length and learning rate."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, further_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``sdat``'s Config; rho over the .02 to .1 of the paper, and beyond."""
    return {
        "rho": trial.suggest_float("rho", 0.01, 0.2, log=True),
        "recipe": further_training(trial),
    }

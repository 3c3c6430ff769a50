"""Weight of the MMD term, length and learning rate of DDC."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, further_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``ddc``'s Config; the weight around the paper's .25."""
    return {
        "weight": trial.suggest_float("weight", 0.01, 10, log=True),
        "recipe": further_training(trial),
    }

"""Weights of alignment and Jacobian, discriminator and training of FGDA."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, further_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``fgda``'s Config; weight and steepness about the 1 and 5 of the authors' code."""
    return {
        "weight": trial.suggest_float("weight", 0.05, 2, log=True),
        "gamma": trial.suggest_float("gamma", 1, 20, log=True),
        "pseudo_labels": trial.suggest_categorical("pseudo_labels", ["predicted", "clustered"]),
        "hidden": trial.suggest_categorical("hidden", [64, 256, 1024]),
        "jacobian": trial.suggest_float("jacobian", 1e-3, 1, log=True),
        "recipe": further_training(trial),
    }

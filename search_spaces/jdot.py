"""Weights of features and labels in the transport, length and learning rate of DeepJDOT."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, further_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``jdot``'s Config; from the paper's weights, small, to equal ones."""
    return {
        "feature_weight": trial.suggest_float("feature_weight", 1e-3, 1, log=True),
        "label_weight": trial.suggest_float("label_weight", 1e-4, 1, log=True),
        "recipe": further_training(trial),
    }

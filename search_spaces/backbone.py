"""Learning rate, weight decay, optimiser and head of a published network."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, network_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``backbone``'s Config."""
    return {
        "head": trial.suggest_categorical("head", ["linear", "mlp", "bottleneck"]),
        "recipe": network_training(trial),
    }

"""Learning rate, weight decay and optimiser of a ResNet with Gram blocks."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, network_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``gramnet``'s Config."""
    return {"recipe": network_training(trial)}

"""How many directions a compact embedding has, and the size of the images it is of."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``compact``'s Config; the rate of false alarms is the study's to choose."""
    return {
        "dimensions": trial.suggest_int("dimensions", 2, 512, log=True),
        "side": trial.suggest_categorical("side", [16, 32, 48, 64, 96, 128]),
    }

"""Block, length and learning rate of surgical fine-tuning."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, fine_tuning


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``surgical``'s Config; blocks 1 to 5, which every detector of this project has."""
    return {
        "block": trial.suggest_int("block", 1, 5),
        "recipe": fine_tuning(trial),
    }

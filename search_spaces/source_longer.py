"""Length and learning rate of the source training's continuation."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, further_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``source_longer``'s Config."""
    return {
        "recipe": further_training(trial),
    }

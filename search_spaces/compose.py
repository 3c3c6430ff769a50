"""Length and learning rate of a composition; its methods keep the parameters that the study gives them."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, further_training


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``compose``'s Config but for its methods."""
    return {
        "recipe": further_training(trial),
    }

"""Anchor, source replay, length and learning rate of few-shot fine-tuning."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial, fine_tuning


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``few_shot``'s Config; k and the draw are the study's."""
    return {
        "anchor": trial.suggest_float("anchor", 1e-4, 1, log=True),
        "replay": trial.suggest_categorical("replay", [0, 20, 100]),
        "recipe": fine_tuning(trial),
    }

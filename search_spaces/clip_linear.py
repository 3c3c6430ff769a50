"""The penalty on the head of ``clip_linear``."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``clip_linear``'s Config."""
    return {"penalty": trial.suggest_float("penalty", 1e-3, 1e4, log=True)}

"""The assumed share of fakes among the target's images."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``recalibrate``'s Config."""
    return {
        "prior": trial.suggest_float("prior", 0.1, 0.9),
    }

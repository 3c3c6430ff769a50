"""Which target images RADA relabels, and from when on."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``rada``'s Config, a part of a composition: it has no recipe."""
    return {
        "threshold": trial.suggest_float("threshold", 0.3, 0.99),
        "patience": trial.suggest_int("patience", 1, 5),
        "start": trial.suggest_float("start", 0.1, 0.9),
    }

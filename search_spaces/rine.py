"""Width, depth, dropout and contrast of RINE, and how fast it learns."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``rine``'s Config; widths and depths are the paper's."""
    return {
        "width": trial.suggest_categorical("width", [128, 256, 512, 1024]),
        "depth": trial.suggest_categorical("depth", [1, 2, 4]),
        "dropout": trial.suggest_float("dropout", 0.1, 0.6),
        "contrast": trial.suggest_float("contrast", 5e-4, 0.1, log=True),
        "recipe": {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)},
    }

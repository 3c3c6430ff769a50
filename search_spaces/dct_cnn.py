"""Cells, learning rate and weight decay of the small network on cosine coefficients."""

from __future__ import annotations

from typing import Any

from search_spaces import Trial


def space(trial: Trial) -> dict[str, Any]:
    """Fields of ``dct_cnn``'s Config."""
    return {
        "cells": trial.suggest_categorical("cells", [4, 8, 16]),
        "recipe": {
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
        },
    }

"""Where Optuna looks for the parameters of a member: one file a member, named like it.

Each holds ``space(trial) -> dict``: over fields of the member's ``Config``, what is suggested for each, as it comes: no
conditions, nothing computed. So the space is known before any trial, and is part of a tuning's id. What it leaves out
keeps its default. Nothing here imports Optuna: the trial is handed in.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from trainables.errors import InputError, nearest


class Trial(Protocol):
    """The part of ``optuna.trial.Trial`` that spaces use."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number in [low, high]."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """An integer in [low, high]."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of the choices."""


Space = Callable[[Trial], Mapping[str, Any]]


def further_training(trial: Trial) -> dict[str, Any]:
    """Fields of the recipe of an adaptation that trains on."""
    return {
        "epochs": trial.suggest_int("epochs", 2, 12),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
    }


def fine_tuning(trial: Trial) -> dict[str, Any]:
    """Fields of the recipe of an adaptation that trains on a few labelled images."""
    return {
        "epochs": trial.suggest_int("epochs", 2, 20),
        "learning_rate": trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True),
    }


def network_training(trial: Trial) -> dict[str, Any]:
    """Fields of the recipe of a detector that is a published network, trained as a whole."""
    return {
        "optimiser": trial.suggest_categorical("optimiser", ["adamw", "sgd"]),
        "learning_rate": trial.suggest_float("learning_rate", 3e-5, 3e-2, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
    }


def names() -> tuple[str, ...]:
    """The members that have a space."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def find_space(name: str) -> Space:
    """The space of a member.

    Raises:
        InputError: it has none.
    """
    if name not in names():
        raise InputError("this member has no search space", value=name, fix=nearest(name, names()))
    space: Space = importlib.import_module(f"{__name__}.{name}").space
    return space

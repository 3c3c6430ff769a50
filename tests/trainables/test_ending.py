"""Fits that end before their last epoch, or whose learning rate falls when nothing improves."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.trainables.toy import context, toy_detector
from trainables.context import LocalContext
from trainables.contract import Images
from trainables.fit import Fitted, Saving, fit
from trainables.objective import SUPERVISED
from trainables.recipe import Recipe

TIMES = {"seconds", "images_per_second"}
PLATEAU = {"schedule": "plateau", "patience": 1, "floor": 1e-5, "optimiser": "adam", "betas": [0.8, 0.9]}
LOSS = {"schedule": "constant", "patience": 1, "monitor": "loss", "learning_rate": 3e-2, "label_smoothing": 0.1}
STEP = {"schedule": "step", "step_size": 2, "optimiser": "adam", "class_weights": "balanced", "weight_decay": 0.01}


class KilledError(RuntimeError):
    pass


def recipe_of(given: Mapping[str, Any]) -> Recipe:
    return Recipe.model_validate({"epochs": 6, "batch": 32, "learning_rate": 2e-3, **given})


def _timeless(fitted: Fitted) -> list[dict[str, float]]:
    return [{key: value for key, value in row.items() if key not in TIMES} for row in fitted.curves]


def test_patience_ends_a_fit_and_what_was_trained_is_what_is_counted(
    source: Images, source_val: Images, tmp_path: Path
) -> None:
    patient = fit(toy_detector(), SUPERVISED, recipe_of(LOSS), source, source_val, context(tmp_path / "patient"))
    losses = [row["val_loss"] for row in patient.curves]
    assert len(losses) < 6
    assert losses[-1] >= losses[-2]
    assert patient.images == len(losses) * len(source)
    whole = recipe_of({**LOSS, "patience": None})
    all_epochs = fit(toy_detector(), SUPERVISED, whole, source, source_val, context(tmp_path / "whole"))
    assert _timeless(all_epochs)[: len(losses)] == _timeless(patient)
    assert len(all_epochs.curves) == 6


def test_a_plateau_lowers_the_rate_that_the_optimiser_has(source: Images, source_val: Images, tmp_path: Path) -> None:
    rates: list[float] = []

    def look(_: object, optimiser: torch.optim.Optimizer) -> None:
        rates.append(optimiser.param_groups[0]["lr"])

    objective = SUPERVISED.joined(type(SUPERVISED)(after_step=(look,)))
    fitted = fit(toy_detector(), objective, recipe_of(PLATEAU), source, source_val, context(tmp_path))
    told = [row["learning_rate"] for row in fitted.curves]
    assert sorted(set(rates), reverse=True) == sorted(set(told), reverse=True)
    assert len(set(told)) > 1
    assert min(told) >= 1e-5


@pytest.mark.parametrize("given", [PLATEAU, LOSS, STEP], ids=["plateau", "loss", "step"])
def test_a_killed_fit_ends_where_one_does_that_ran_through(
    source: Images, source_val: Images, tmp_path: Path, given: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Saving, "SHARE", math.inf)  # after every epoch

    def run(folder: Path, on_report: Any = None) -> tuple[list[dict[str, float]], dict[str, torch.Tensor]]:
        detector = toy_detector()
        local = LocalContext(folder=folder, on_report=on_report)
        fitted = fit(detector, SUPERVISED, recipe_of(given), source, source_val, local)
        return _timeless(fitted), detector.state_dict()

    def kill(_: Mapping[str, float]) -> None:
        raise KilledError

    while True:  # killed after every single epoch
        try:
            curves, weights = run(tmp_path / "killed", kill)
        except KilledError:
            continue
        break
    expected, whole = run(tmp_path / "whole")
    assert curves == expected
    assert all(torch.equal(value, whole[name]) for name, value in weights.items())


@dataclass(kw_only=True)
class OneOfTwo(LocalContext):
    """One worker of two in this process, the other having found the same."""

    world_size: int = 2

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.concatenate([values, values])


def test_workers_end_together(source: Images, source_val: Images, tmp_path: Path) -> None:
    twice = source_val.take(np.concatenate([np.arange(32), np.arange(32)]))
    ends = []
    for rank in (0, 1):
        worker = OneOfTwo(folder=tmp_path / str(rank), rank=rank)
        detector, recipe = toy_detector(), recipe_of({**LOSS, "epochs": 8})
        fitted = fit(detector, SUPERVISED, recipe, source, twice, worker)
        figures = [row["val_loss"] for row in fitted.curves]
        ends.append((len(figures), all(later < earlier for earlier, later in zip(figures, figures[1:-1], strict=False))))
    assert all(count < 8 and fell for count, fell in ends)

"""Fits that end before their last epoch, or whose learning rate falls when nothing improves."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
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
from trainables.fit import Fitted, fit
from trainables.objective import SUPERVISED
from trainables.recipe import Recipe
from trainables.saving import Saving

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

    killed: set[float] = set()

    def kill(row: Mapping[str, float]) -> None:
        if row["epoch"] not in killed:
            killed.add(row["epoch"])
            raise KilledError

    while True:  # killed once after every epoch
        try:
            curves, weights = run(tmp_path / "killed", kill)
        except KilledError:
            continue
        break
    assert len(killed) == len(curves) > 1
    expected, whole = run(tmp_path / "whole")
    assert curves == expected
    assert all(torch.equal(value, whole[name]) for name, value in weights.items())


@dataclass(kw_only=True)
class OneOfTwo(LocalContext):
    """One worker of two, each in a thread of its own: what they gather is what both have found."""

    world_size: int = 2
    found: list[Any]
    meeting: threading.Barrier

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        self.found[self.rank] = values
        self.meeting.wait()
        both = np.concatenate(self.found)
        self.meeting.wait()
        return both


def test_workers_end_together_though_each_has_seen_half(source: Images, source_val: Images, tmp_path: Path) -> None:
    found, meeting = [None, None], threading.Barrier(2, timeout=60)
    recipe = recipe_of({**LOSS, "epochs": 8, "patience": 1, "monitor": "accuracy"})

    def work(rank: int) -> Fitted:
        worker = OneOfTwo(folder=tmp_path / str(rank), rank=rank, found=found, meeting=meeting)
        return fit(toy_detector(), SUPERVISED, recipe, source, source_val, worker)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(work, (0, 1))
    figures = [[row["val_accuracy"] for row in fitted.curves] for fitted in (first, second)]
    assert figures[0] == figures[1]
    assert len(figures[0]) < 8
    assert figures[0][-1] <= figures[0][-2]
    assert first.curves != second.curves  # the seconds at the least: each had a clock and weights of its own

"""Tunings of a synthetic study: their cells, records and tables of trials, with optima that are known."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np

from orchestrator.plan.cells import Cell, Digest, Stage, Tags
from orchestrator.plan.tuned import tuning_of, with_parameters
from orchestrator.store.tables import TRIALS, TRIALS_FILE, write_rows
from tests.reports.synthetic import Store

SPACES: dict[str, dict[str, Any]] = {
    "residual_cnn": {
        "recipe.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
        "recipe.epochs": {"low": 2, "high": 12, "log": False, "integer": True},
    },
    "dann": {
        "weight": {"low": 0.1, "high": 3.0, "log": True},
        "gamma": {"low": 1.0, "high": 10.0, "log": True},
        "hidden": {"choices": [64, 256, 1024]},
        "recipe.epochs": {"low": 2, "high": 12, "log": False, "integer": True},
        "recipe.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    },
    "fgda": {
        "pseudo_labels": {"choices": ["predicted", "clustered"]},
        "recipe.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    },
}
RECIPE = {"epochs": 4, "learning_rate": 0.001}
BASES: dict[str, dict[str, Any]] = {
    "residual_cnn": {"recipe": RECIPE},
    "dann": {"weight": 1.0, "gamma": 5.0, "hidden": 256, "recipe": RECIPE},
    "fgda": {"pseudo_labels": "predicted", "recipe": RECIPE},
}


def add_tunings(
    store: Store, method: str, pairs: list[tuple[str, str]], *, trials: int = 12, scheduler: str = "none"
) -> list[Cell]:
    """A finished tuning for each (source, target); source and target are the same for a detector's."""
    return [_add(store, _cell(method, source, target, trials, scheduler)) for source, target in pairs]


def _cell(method: str, source: str, target: str, trials: int, scheduler: str) -> Cell:
    stage = Stage.TRAIN if source == target else Stage.ADAPT
    adaptation = "source_only" if source == target else method
    own = {"detector" if source == target else "adaptation": BASES[method], "watched": {"test": "t" * 20}}
    ordinary = Cell(
        stage=stage,
        method=method,
        params={**own, "source": source, "target": target},
        tags=Tags(detector="residual_cnn", source=source, target=target, adaptation=adaptation, seed=0),
        data=Digest("d" * 20),
    )
    search = {"trials": trials, "objective": "source_val", "scheduler": scheduler, "sampler": "tpe"}
    return tuning_of(ordinary, {**search, "space": SPACES[method], "version": 1})


def _add(store: Store, cell: Cell) -> Cell:
    """The study's own parameters are trial 0; the last trial but one failed, and of ``asha``'s every third stopped."""
    tuning: Any = cell.params["tuning"]
    rng = np.random.default_rng(int(cell.id, 16))
    rows = [_row(cell, number, rng) for number in range(tuning["trials"])]
    complete = [row for row in rows if row["state"] == "complete"]
    won = max(complete, key=lambda row: row["value"])
    names = list(tuning["space"])
    weights = rng.dirichlet(np.ones(len(names)))
    counts = {state: sum(row["state"] == state for row in rows) for state in ("complete", "stopped", "failed")}
    importances = {f"importance/{name}": float(w) for name, w in zip(names, weights, strict=True)}
    metrics = {"best": won["value"], "trial": won["number"], **counts, **importances}
    write_rows(store.artifacts.folder(cell.id) / TRIALS_FILE, rows, TRIALS)
    return store.add(cell, metrics=metrics, chosen=BASES[cell.method], files=(TRIALS_FILE,), seconds=24.0)


def _row(cell: Cell, number: int, rng: np.random.Generator) -> dict[str, Any]:
    tuning: Any = cell.params["tuning"]
    tried = {name: _drawn(cell.method, name, space, rng, number) for name, space in tuning["space"].items()}
    stopped = tuning["scheduler"] == "asha" and number % 3 == 2
    state = "failed" if number == tuning["trials"] - 2 else "stopped" if stopped else "complete"
    rate = tried["recipe.learning_rate"]
    value = 0.9 - 0.1 * abs(math.log10(rate) + 2.5) + float(rng.normal(0, 0.02)) - 0.1 * stopped
    return {
        "number": number,
        "state": state,
        "value": None if state == "failed" else value,
        "epochs": 4,
        "seconds": 2.0,
        "started": 1.77e9 + number,
        "cell": with_parameters(cell, {**BASES[cell.method], "recipe": {**RECIPE, "weight_decay": number / 100}}).id,
        "reason": "loss is nan" if state == "failed" else "",
        **{f"parameter/{name}": json.dumps(each) for name, each in tried.items()},
    }


def _drawn(method: str, name: str, space: dict[str, Any], rng: np.random.Generator, number: int) -> Any:
    if number == 0:
        return RECIPE[name.removeprefix("recipe.")] if "." in name else BASES[method][name]
    if "choices" in space:
        return space["choices"][int(rng.integers(len(space["choices"])))]
    if space["log"]:
        return float(np.exp(rng.uniform(np.log(space["low"]), np.log(space["high"]))))
    return int(rng.integers(space["low"], space["high"] + 1))


def pending(store: Store, cell: Cell) -> Cell:
    """The same tuning for another seed, of which nothing is done."""
    other = replace(cell, params={**cell.params, "seed": 1}, tags=replace(cell.tags, seed=1))
    store.cells.append(other)
    return other

"""Seconds a trial of everything but its work: Optuna's ask and tell, Tune, the ledger, and choosing in the end."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from orchestrator.plan.cells import Cell, Stage, Tags
from orchestrator.plan.graph import plan_of
from orchestrator.plan.jobs import Job
from orchestrator.plan.tuned import awaiting, tuning_of
from orchestrator.run.driver import Run
from orchestrator.run.execute import ContextFactory, record_of
from orchestrator.run.on_ray import run_on_ray
from orchestrator.run.place import Place
from orchestrator.run.session import connected
from orchestrator.store.ledger import Ledger
from orchestrator.store.records import Record, Status
from orchestrator.study.resources import StageResources
from orchestrator.study.rooms import DetectorChoice
from orchestrator.study.spaces import described
from orchestrator.study.tuning import Tuning

TUNINGS, TRIALS = 4, 50
BAR = 0.1
"""Seconds a trial."""


def work(job: Job, place: Place, contexts: ContextFactory) -> list[Record]:
    """A record that took no time; torch is imported, as it is for any cell. The value is the learning rate."""
    del contexts
    import torch

    del torch
    return [record_of(cell, place, Status.DONE, metrics={"source_val_accuracy": _rate(cell)}) for cell in job.cells]


def _rate(cell: Cell) -> float:
    parameters = cell.params["detector"]
    assert isinstance(parameters, dict)
    recipe = parameters["recipe"]
    assert isinstance(recipe, dict)
    return float(str(recipe["learning_rate"]))


def _cells(seed: int) -> tuple[Cell, Cell]:
    """A detector's search, and what waits for it."""
    choice, tuning = DetectorChoice.model_validate("residual_cnn"), Tuning(trials=TRIALS, objective="source_val")
    tags = Tags(detector="residual_cnn", source="a", target="a", adaptation="source_only", seed=seed)
    params = {"detector": choice.parameters, "source": "a", "seed": seed}
    cell = Cell(stage=Stage.TRAIN, method=choice.kind, params=params, tags=tags)
    space = described(choice.kind, choice.config, tuning)
    tune = tuning_of(cell, {**tuning.model_dump(mode="json"), "space": space})
    return tune, awaiting(cell, tune)


def run(root: Path) -> Run:
    """A run of such tunings in a storage of its own, not yet started."""
    place = Place(storage=root, index=root / "none", cache=root / "cache")
    plan = plan_of("noop", [cell for seed in range(TUNINGS) for cell in _cells(seed)])
    return Run(plan, place, Ledger(root), StageResources(), work=work)


def main() -> None:
    """Print the figure."""
    with tempfile.TemporaryDirectory() as folder, connected(None, StageResources()):
        started = time.perf_counter()
        tuned = run(Path(folder))
        run_on_ray(tuned)
        seconds = (time.perf_counter() - started) / (TUNINGS * TRIALS)
    assert tuned.summary().done == 2 * TUNINGS
    print(f"{TUNINGS} tunings of {TRIALS} no-op trials, TPE, on a local Ray: {seconds:.4f} s a trial (bar {BAR})")


if __name__ == "__main__":
    main()

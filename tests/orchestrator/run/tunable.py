"""Tunings whose trials' work is made up: real members' parameters, a value that follows from them, no images."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.plan.cells import Cell, Stage, Tags
from orchestrator.plan.graph import Plan, plan_of
from orchestrator.plan.jobs import Job
from orchestrator.plan.tuned import awaiting, tuning_of
from orchestrator.plan.validation import validation
from orchestrator.run.driver import Run
from orchestrator.run.execute import ContextFactory, failure_of, record_of
from orchestrator.run.place import Place
from orchestrator.store.ledger import Ledger
from orchestrator.store.records import Record, Status
from orchestrator.study.resources import StageResources
from orchestrator.study.spaces import described
from orchestrator.study.tuning import Tuning
from trainables.registry import ADAPTATIONS, DETECTORS

SPACE = {"recipe.learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}}
SETTINGS: Mapping[str, Any] = {"trials": 6, "sampler": "random", "space": SPACE}
TAGS = Tags(detector="residual_cnn", source="a", target="a", adaptation="source_only", seed=0)


def train(source: str = "a", **parameters: Any) -> Cell:
    config = DETECTORS["residual_cnn"].config.model_validate(parameters)
    tags = Tags(detector="residual_cnn", source=source, target=source, adaptation="source_only", seed=0)
    params = {"detector": config.model_dump(mode="json"), "source": source}
    return Cell(stage=Stage.TRAIN, method="residual_cnn", params=params, tags=tags)


def adapt(model: Cell, target: str = "b") -> Cell:
    tags = Tags(detector="residual_cnn", source=model.tags.source, target=target, adaptation="dann", seed=0)
    params = {
        "adaptation": ADAPTATIONS["dann"].config().model_dump(mode="json"),
        "image": {},
        "source": model.tags.source,
        "target": target,
        "train_reals": ["camera"],
        "test_reals": ["camera"],
        "watched": {"test": "t", "third": {}, "oracle": None},
    }
    return Cell(stage=Stage.ADAPT, method="dann", params=params, needs=(model.id,), tags=tags)


def score(model: Cell) -> Cell:
    return Cell(stage=Stage.SCORE, method="clean", params={"test": "a"}, needs=(model.id,), tags=model.tags)


def tuned(cell: Cell, **changes: Any) -> tuple[Cell, Cell]:
    """The search for the cell's parameters, and what waits for it."""
    room = DETECTORS if cell.stage is Stage.TRAIN else ADAPTATIONS
    objective = "source_val" if cell.stage is Stage.TRAIN else "im"
    tuning = Tuning.model_validate({**SETTINGS, **changes, "objective": objective})
    space = described(cell.method, room[cell.method].config(), tuning)
    tune = tuning_of(cell, {**tuning.model_dump(mode="json"), "space": space})
    return tune, awaiting(cell, tune)


def tuned_detector(source: str = "a", **changes: Any) -> Plan:
    """A tuned detector with a score."""
    tune, waits = tuned(train(source), **changes)
    return plan_of("tuned", [tune, waits, score(waits)])


def nested() -> Plan:
    """A tuned adaptation of a tuned detector."""
    tune, model = tuned(train())
    tune_adapt, adapted = tuned(adapt(model), trials=5, space={"weight": {"low": 0.1, "high": 3}})
    return plan_of(
        "nested", [tune, model, score(model), tune_adapt, adapted, validation(adapted, ["im"]), score(adapted)]
    )


def run_of(root: Path, plan: Plan, work: Any = None, **options: Any) -> Run:
    """A run in a storage of its own, not yet started."""
    place = Place(storage=root, index=root / "none", cache=root)
    return Run(plan, place, Ledger(root), StageResources(), work=work or value, **options)


def worth(parameters: Mapping[str, Any]) -> float:
    """At most 1, where the learning rate is .01 and a weight 1."""
    rate = float(parameters["recipe"]["learning_rate"])
    return 1 - abs(math.log10(rate) + 2) / 4 - abs(float(parameters.get("weight", 1)) - 1) / 4


def value(job: Job, place: Place, contexts: ContextFactory) -> Sequence[Record]:
    """Every model is worth what follows from its parameters; each leaves a line in ``executed.txt``."""
    del contexts
    return list(_records(job, place))


def _records(job: Job, place: Place) -> Iterable[Record]:
    for cell in job.cells:
        with (place.storage / "executed.txt").open("a") as log:
            log.write(f"{cell.stage}:{cell.id}\n")
        record = record_of(cell, place, status=Status.DONE, metrics=_metrics(cell, place), seconds=0.5)
        place.artifacts.leave(record)
        yield record


def _metrics(cell: Cell, place: Place) -> dict[str, float]:
    if cell.stage is Stage.TRAIN:
        return {"source_val_accuracy": worth(_of(cell, "detector"))}
    if cell.stage is Stage.ADAPT:
        return {"worth": worth(_of(cell, "adaptation"))}
    if cell.stage is Stage.VALIDATE:
        (model,) = place.artifacts.left_behind(cell.needs)
        return {"im": model.metrics["worth"]}
    return {"accuracy": 0.5}


def _of(cell: Cell, key: str) -> Mapping[str, Any]:
    found = cell.params[key]
    assert isinstance(found, dict)
    return found


def odd_ones_fail(job: Job, place: Place, contexts: ContextFactory) -> Sequence[Record]:
    """The first model has no number, the second raises, and all others are as they should be."""
    made = len(executed(place.storage))
    records = list(value(job, place, contexts))
    if job.cells[0].stage is Stage.TRAIN and made == 0:
        nothing = record_of(job.cells[0], place, status=Status.DONE, metrics={"source_val_accuracy": math.nan})
        place.artifacts.leave(nothing)
        return [nothing]
    if job.cells[0].stage is Stage.TRAIN and made == 1:
        (place.artifacts.folder(job.cells[0].id) / "record.json").unlink()
        return [record_of(job.cells[0], place, status=Status.FAILED, failure=failure_of(RuntimeError("boom")))]
    return records


def fails(job: Job, place: Place, contexts: ContextFactory) -> Sequence[Record]:
    """Every model raises."""
    del contexts
    return [record_of(job.cells[0], place, status=Status.FAILED, failure=failure_of(RuntimeError("boom")))]


def learns(job: Job, place: Place, contexts: ContextFactory) -> Sequence[Record]:
    """Models get better over five epochs, each at a pace that follows from its parameters, and tell of each."""
    cell = job.cells[0]
    if cell.stage is Stage.TRAIN:
        context = contexts(cell)
        for epoch in range(1, 6):
            with (place.storage / "epochs.txt").open("a") as log:
                log.write(f"{cell.id}\n")
            context.report({"epoch": float(epoch), "val_accuracy": worth(_of(cell, "detector")) * epoch / 5})
    return value(job, place, contexts)


def die_at(count: int, *, mark: bool = True) -> Any:
    """Work whose process is killed once so many models are made; only the first time, if that is marked."""

    def work(job: Job, place: Place, contexts: ContextFactory) -> Sequence[Record]:
        marker = place.storage / "died"
        if len(executed(place.storage)) == count and not marker.exists():
            if mark:
                marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return value(job, place, contexts)

    return work


def executed(root: Path, stage: str = "") -> list[str]:
    """The cells that were worked on, in order."""
    log = root / "executed.txt"
    lines = log.read_text().split() if log.exists() else []
    return [line.partition(":")[2] for line in lines if line.startswith(stage)]


def the_tuning(root: Path, **tags: str) -> Record:
    """The record of the one tuning in the storage that has these tags."""
    found = [record for record in Ledger(root).records().values() if record.stage == Stage.TUNE]
    (one,) = [record for record in found if all(record.tags[key] == text for key, text in tags.items())]
    return one

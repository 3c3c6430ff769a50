"""A small graph of cells whose work is made up: what scheduling needs, without images or models."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.plan.cells import Cell, CellId, Stage, Tags
from orchestrator.plan.graph import Plan, plan_of
from orchestrator.plan.jobs import Job
from orchestrator.run.execute import ContextFactory, failure_of, record_of
from orchestrator.run.place import Place
from orchestrator.store.records import Record, Status


def cell(stage: Stage, name: str, *needs: Cell) -> Cell:
    test = name if stage in (Stage.SCORE, Stage.ATTACK) else ""
    tags = Tags(detector="d", source=name, target=name, adaptation="a", seed=0, test=test)
    return Cell(stage=stage, method="m", params={"name": name}, needs=tuple(n.id for n in needs), tags=tags)


def grid(sources: int = 2, targets: int = 3) -> Plan:
    """Source models, each with a score, adapted models with a score and an attack."""
    cells: list[Cell] = []
    for i in range(sources):
        model = cell(Stage.TRAIN, f"s{i}")
        cells += [model, cell(Stage.SCORE, f"s{i}", model)]
        for k in range(targets):
            adapted = cell(Stage.ADAPT, f"s{i}t{k}", model)
            cells += [adapted, cell(Stage.SCORE, f"s{i}t{k}", adapted), cell(Stage.ATTACK, f"s{i}t{k}", adapted)]
    return plan_of("grid", cells)


def succeed(job: Job, place: Place, contexts: ContextFactory) -> list[Record]:
    """Every cell is done; each leaves a line in ``executed.txt``."""
    del contexts
    records = []
    for each in job.cells:
        with (place.storage / "executed.txt").open("a") as log:
            log.write(f"{each.name}\n")
        records.append(record_of(each, place, status=Status.DONE, metrics={"x": 1.0}, seconds=0.5))
        place.artifacts.leave(records[-1])
    return records


def fail_at(*names: str) -> Callable[[Job, Place, ContextFactory], Sequence[Record]]:
    """Work that raises at the models of these names."""

    def work(job: Job, place: Place, contexts: ContextFactory) -> Sequence[Record]:
        if job.cells[0].name in names:
            return [record_of(job.cells[0], place, status=Status.FAILED, failure=failure_of(RuntimeError("boom")))]
        return succeed(job, place, contexts)

    return work


def executed(root: Path) -> list[str]:
    """Names of the cells that were worked on, in order."""
    log = root / "executed.txt"
    return log.read_text().split() if log.exists() else []


def die_once_at(name: str) -> Callable[[Job, Place, ContextFactory], Sequence[Record]]:
    """Work whose process is killed at the first attempt at the cell of this name."""

    def work(job: Job, place: Place, contexts: ContextFactory) -> Sequence[Record]:
        marker = place.storage / "died"
        if job.cells[0].name == name and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return succeed(job, place, contexts)

    return work


class Told:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def begin(self, plan: Plan, done: Mapping[CellId, Record]) -> None:
        self.events.append(("begin", len(plan), len(done)))

    def replanned(self, plan: Plan, done: Mapping[CellId, Record]) -> None:
        self.events.append(("replanned", len(plan), len(done)))

    def started(self, cell: Cell) -> None:
        self.events.append(("started", cell.name))

    def progress(self, cell: Cell, row: Mapping[str, float]) -> None:
        self.events.append(("progress", cell.name, dict(row)))

    def finished(self, record: Record) -> None:
        self.events.append(("finished", record.name, record.status))

    def tick(self) -> None:
        pass

    def end(self) -> None:
        self.events.append(("end",))


def scored_thrice() -> Plan:
    """One model with three scores."""
    model = cell(Stage.TRAIN, "s0")
    return plan_of("thrice", [model, *(cell(Stage.SCORE, f"test{i}", model) for i in range(3))])

"""Cells that do nothing, for measuring what surrounds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from orchestrator.plan.cells import Cell, Json, Stage, Tags
from orchestrator.plan.graph import Plan, plan_of
from orchestrator.plan.jobs import Job
from orchestrator.run.driver import Run
from orchestrator.run.execute import ContextFactory, record_of
from orchestrator.run.listen import Listener
from orchestrator.run.place import Place
from orchestrator.store.ledger import Ledger
from orchestrator.store.records import Record, Status
from orchestrator.study.resources import StageResources

ADAPTED = 9


def work(job: Job, place: Place, contexts: ContextFactory) -> list[Record]:
    """Records of a job whose cells took no time; torch is imported, as it is for any cell."""
    del contexts
    import torch

    del torch
    return [record_of(cell, place, status=Status.DONE, metrics={"accuracy": 0.5}) for cell in job.cells]


def plan(cells: int) -> Plan:
    """A graph of so many cells: one in ten is a model that the other nine need."""
    return plan_of("noop", list(_cells(cells)))


def _cells(count: int) -> Iterator[Cell]:
    for i in range(count // (ADAPTED + 1)):
        model = _cell(Stage.TRAIN, f"g{i}", f"g{i}", i)
        yield model
        for k in range(ADAPTED):
            yield _cell(Stage.ADAPT, f"g{i}", f"t{k}", i, model)


def _cell(stage: Stage, source: str, target: str, seed: int, *needs: Cell) -> Cell:
    tags = Tags(detector="noop", source=source, target=target, adaptation="noop", seed=seed)
    params: dict[str, Json] = {"source": source, "target": target, "seed": seed}
    return Cell(stage=stage, method="noop", params=params, needs=tuple(n.id for n in needs), tags=tags)


def run(root: Path, cells: int, *listeners: Listener) -> Run:
    """A run of such a plan in a storage of its own, not yet started."""
    place = Place(storage=root, index=root / "none", cache=root / "cache")
    return Run(plan(cells), place, Ledger(root), StageResources(), listeners=listeners, work=work)

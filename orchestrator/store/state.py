"""How a run stands right now, for the progress view and for ``status`` in another terminal."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from orchestrator.plan.cells import Cell, CellId
from orchestrator.plan.graph import Plan
from orchestrator.store.lock import holder
from orchestrator.store.records import Record
from trainables.writing import write_json

_INTERVAL = 1.0


class Phase(StrEnum):
    """Whether a run is under way."""

    RUNNING = "running"
    INTERRUPTED = "interrupted"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A cell that a worker has taken up.

    Attributes:
        started: Unix time.
        epoch: the last one that ended; None before the first.
        metrics: of that epoch.
    """

    cell: CellId
    name: str
    stage: str
    started: float
    epoch: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """A moment of a run.

    Attributes:
        phase: as the reader found it; a run whose driver has died is interrupted.
        host, pid: of the driver.
        started, updated: Unix times.
        planned: cells by stage.
        ended: cells by stage and status (``done``, ``failed``, ``blocked``), those of earlier runs included.
        running: by start.
    """

    study: str
    phase: Phase
    host: str
    pid: int
    started: float
    updated: float
    planned: Mapping[str, int]
    ended: Mapping[str, Mapping[str, int]]
    running: tuple[Running, ...] = ()


class LiveState:
    """The state of the run that this process drives: a listener that keeps ``studies/<name>/state.json``.

    The file is written at most once a second; call ``tick`` now and then so that a silence does not leave it behind.

    Args:
        root: the storage folder.
        study: the study's name.
    """

    def __init__(self, root: Path, study: str) -> None:
        self._path = state_file(root, study)
        self._study = study
        self._started = time.time()
        self._planned: Mapping[str, int] = {}
        self._ended: dict[CellId, tuple[str, str]] = {}
        self._running: dict[CellId, Running] = {}
        self._phase = Phase.RUNNING
        self._written = 0.0
        self._stale = False

    def begin(self, plan: Plan, done: Mapping[CellId, Record]) -> None:
        """A run of the plan starts; ``done`` is what the ledger already holds of it."""
        self._planned = {stage.value: count for stage, count in plan.stages().items()}
        self._ended = {cell: (record.stage, record.status.value) for cell, record in done.items()}
        self._save()

    def replanned(self, plan: Plan, done: Mapping[CellId, Record]) -> None:
        """The run goes on with another plan; ``done`` is what the ledger holds of it."""
        self.begin(plan, done)

    def started(self, cell: Cell) -> None:
        """A worker has taken up a cell."""
        self._running[cell.id] = Running(cell=cell.id, name=cell.name, stage=cell.stage.value, started=time.time())
        self._touch()

    def progress(self, cell: Cell, row: Mapping[str, float]) -> None:
        """A cell has ended an epoch."""
        if cell.id not in self._running:
            self.started(cell)
        metrics = {key: value for key, value in row.items() if key != "epoch"}
        epoch = int(row["epoch"]) if "epoch" in row else None
        self._running[cell.id] = replace(self._running[cell.id], epoch=epoch, metrics=metrics)
        self._touch()

    def finished(self, record: Record) -> None:
        """A cell is in the ledger."""
        self._running.pop(record.cell, None)
        self._ended[record.cell] = (record.stage, record.status.value)
        self._touch()

    def end(self) -> None:
        """The run is over; it is finished if every planned cell has ended."""
        self._running.clear()
        complete = len(self._ended) >= sum(self._planned.values())
        self._phase = Phase.FINISHED if complete else Phase.INTERRUPTED
        self._save()

    def tick(self) -> None:
        """Bring the file up to date, if it is a second old and something has happened."""
        if self._stale and time.monotonic() - self._written >= _INTERVAL:
            self._save()

    def snapshot(self) -> RunState:
        """This moment."""
        ended: dict[str, Counter[str]] = {}
        for stage, status in self._ended.values():
            ended.setdefault(stage, Counter())[status] += 1
        return RunState(
            study=self._study,
            phase=self._phase,
            host=socket.gethostname(),
            pid=os.getpid(),
            started=self._started,
            updated=time.time(),
            planned=self._planned,
            ended={stage: dict(counts) for stage, counts in ended.items()},
            running=tuple(self._running.values()),
        )

    def _touch(self) -> None:
        self._stale = True
        self.tick()

    def _save(self) -> None:
        write_json(self._path, asdict(self.snapshot()), durable=False)
        self._written = time.monotonic()
        self._stale = False


def read_state(root: Path, study: str) -> RunState | None:
    """The last known state of a study's run, with its phase as it is now.

    Returns:
        None if the study never ran in this storage, or another version left a state that this one cannot read.
    """
    try:
        value: dict[str, Any] = json.loads(state_file(root, study).read_bytes())
        running = tuple(Running(**each) for each in value["running"])
        state = RunState(**{**value, "phase": Phase(value["phase"]), "running": running})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    if state.phase is Phase.RUNNING and not _driven(root, state):
        return replace(state, phase=Phase.INTERRUPTED)
    return state


def state_file(root: Path, study: str) -> Path:
    """Where a study's state is kept."""
    return root / "studies" / study / "state.json"


def _driven(root: Path, state: RunState) -> bool:
    driver = holder(root)
    return driver is not None and (driver.get("host"), driver.get("pid")) == (state.host, state.pid)

"""The thread that keeps MLflow up to date, and never keeps the run waiting."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from orchestrator.plan.cells import Cell, CellId, Stage, Tags
from orchestrator.plan.graph import Plan
from orchestrator.store.cell_runs import CellRuns
from orchestrator.store.records import Record
from orchestrator.store.target import Target
from orchestrator.store.tracking import Rejected, Unreachable
from orchestrator.study.checks import without_password

_RETRY = 15.0
_PATIENCE = 20.0
_BEHIND = 200
_log = logging.getLogger(__name__)
_Job = Callable[[CellRuns], None]


class Mirror:
    """Mirrors a run to MLflow as it goes: a listener whose calls return at once.

    A store that does not answer is told once and asked again later; what it still lacks when the run ends is mirrored
    by the next run, or by ``replay``, from the ledger.

    Args:
        target: the MLflow of the study.
        warn: is told, in the mirror's thread, of a store that fails or refuses.
        retry: seconds between two attempts at a store that does not answer.
    """

    def __init__(self, target: Target, warn: Callable[[str], None] = _log.warning, retry: float = _RETRY) -> None:
        self._target = target
        self._warn = warn
        self._retry = retry
        self._plan: Plan | None = None
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._held: deque[_Job] = deque()
        self._runs: CellRuns | None = None
        self._blocked_until = 0.0
        self._told: set[type[Exception]] = set()
        self._refused = 0
        self._counting = threading.Lock()
        self._given = self._taken = 0
        self._moved = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="mlflow-mirror", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        self.close()

    @property
    def pending(self) -> int:
        """How many calls the store has not taken yet."""
        return self._given - self._taken

    def begin(self, plan: Plan, done: Mapping[CellId, Record]) -> None:
        """A run of the plan starts; of ``done``, whatever is not mirrored yet will be."""
        self._plan = plan
        self.replay([record for cell, record in done.items() if cell in plan.cells])

    def replanned(self, plan: Plan, done: Mapping[CellId, Record]) -> None:
        """Tunings have chosen: the cells that waited for them are others now, and some of these are done already."""
        self._plan = plan
        self._give(lambda runs: runs.rename(_tags(plan)))
        self.replay([record for cell, record in done.items() if cell in plan.cells])

    def started(self, cell: Cell) -> None:
        """A run is made at the first epoch: most cells are over before that."""

    def progress(self, cell: Cell, row: Mapping[str, float]) -> None:
        """A cell has ended an epoch; a store that is down or far behind gets the curve with the record instead."""
        # What a tuning tells is no epoch: its curve comes with its record, and the trials with that.
        if cell.stage is not Stage.TUNE and not self._held and self.pending < _BEHIND:
            told = dict(row)
            self._give(lambda runs: runs.epoch(cell, told))

    def finished(self, record: Record) -> None:
        """A cell is in the ledger."""
        self._give(_putting(record))

    def tick(self) -> None:
        """Nothing: the mirror's thread has a clock of its own."""

    def end(self) -> None:
        """The run is over; the parent run stays open until ``finish``."""

    def replay(self, records: Iterable[Record], *, thorough: bool = False) -> None:
        """Mirror whatever of these records is not there yet; ``thorough`` trusts no earlier summary."""
        known = list(records)
        self._give(lambda runs: self._go_before(_putting(record) for record in runs.missing(known, thorough=thorough)))

    def finish(self, records: Iterable[Record], artifacts: Sequence[Path] = (), *, again: bool = True) -> None:
        """End the study's parent run: counts, and the report's files; ``again`` even where it shows these records."""
        known, files = list(records), list(artifacts)

        def end(runs: CellRuns) -> None:
            if again or not runs.shows(known):
                runs.finish(known, files, complete=not self._refused)

        self._give(end)

    def close(self, patience: float = _PATIENCE) -> int:
        """Wait until everything is mirrored, or the store has not moved for ``patience`` seconds.

        Returns:
            How many calls are left; the ledger holds what they would have told.
        """
        self._jobs.put(None)
        self._move()
        while self._thread.is_alive() and time.monotonic() - self._moved < patience:
            self._thread.join(timeout=0.1)
        return self.pending

    def _give(self, job: _Job) -> None:
        with self._counting:
            self._given += 1
        self._jobs.put(job)

    def _go_before(self, jobs: Iterable[_Job]) -> None:
        """For the job at work: these come next, each on its own, so that one refusal or a long wait is one job's."""
        more = list(jobs)
        with self._counting:
            self._given += len(more)
        self._held.extendleft([*reversed(more), self._held.popleft()])

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._held.append(job)
            if time.monotonic() >= self._blocked_until:
                self._flush()
        self._flush()

    def _flush(self) -> None:
        while self._held:
            try:
                self._perform(self._held[0])
            except Unreachable as error:
                self._blocked_until = time.monotonic() + self._retry
                self._tell(error, "does not answer; the run goes on, and what is missing there is mirrored later")
                return
            except Rejected as error:
                self._refused += 1
                self._tell(error, "refused a cell's run; the ledger has its record")
            self._held.popleft()
            self._taken += 1
            self._move()

    def _perform(self, job: _Job) -> None:
        runs = self._runs or self._connect()
        try:
            job(runs)
        except Rejected:
            # Someone may have deleted a run, or all of them, while we were at work: look at everything anew, once.
            job(self._connect())
        except Unreachable:
            runs.forget()
            raise

    def _connect(self) -> CellRuns:
        try:
            self._runs = CellRuns(self._target, _tags(self._plan) if self._plan else {}, self._move)
        except Rejected as error:
            raise Unreachable(str(error)) from error
        return self._runs

    def _move(self) -> None:
        self._moved = time.monotonic()

    def _tell(self, error: Exception, what: str) -> None:
        if type(error) not in self._told:
            self._told.add(type(error))
            self._warn(without_password(f"MLflow at {self._target.uri} {what} ({error})"))


def _tags(plan: Plan) -> dict[CellId, Tags]:
    return {cell.id: cell.tags for cell in plan}


def _putting(record: Record) -> _Job:
    return lambda runs: runs.put(record)

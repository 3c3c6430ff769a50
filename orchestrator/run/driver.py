"""Plan minus ledger, run and committed: the driver is the sole writer of the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.plan.cells import Cell, CellId
from orchestrator.plan.graph import Plan
from orchestrator.plan.jobs import Job, jobs
from orchestrator.run.execute import Work, execute, record_of
from orchestrator.run.listen import Listener
from orchestrator.run.place import Place
from orchestrator.run.queue import JobQueue
from orchestrator.store.ledger import Ledger
from orchestrator.store.records import Failure, Record, Status
from orchestrator.study.model import StageResources


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run ended.

    Attributes:
        done, failed, blocked: cells of the plan, by how they stand in the ledger now.
        executed: cells that this run worked on.
        seconds: wall time of the run.
        work: seconds of pure work in the executed cells, summed.
    """

    done: int
    failed: int
    blocked: int
    executed: int
    seconds: float
    work: float

    @property
    def exit_code(self) -> int:
        """0 when every cell of the plan is done, 1 when some failed or are blocked."""
        return int(bool(self.failed or self.blocked))


def outstanding(
    plan: Plan, records: Mapping[CellId, Record], *, retry_failed: bool = False
) -> tuple[Plan, Mapping[CellId, CellId]]:
    """What is left to run, and what cannot run.

    A failed cell is run again when its failure may pass (a lost worker), or when ``retry_failed``.

    Returns:
        The cells to run, and each blocked cell with the parent that blocks it.
    """
    todo: dict[CellId, Cell] = {}
    blocked: dict[CellId, CellId] = {}
    for cell in plan:
        record = records.get(cell.id)
        if record and record.status is Status.DONE:
            continue
        broken = next(
            (parent for parent in cell.needs if parent in blocked or _stays_failed(parent, todo, records)), None
        )
        if broken is not None:
            blocked[cell.id] = broken
        elif record is None or record.status is not Status.FAILED or retry_failed or _may_pass(record):
            todo[cell.id] = cell
    return Plan(plan.study, todo), blocked


def with_lost_models(plan: Plan, todo: Plan, whole: Callable[[CellId], bool]) -> Plan:
    """``todo``, and the models that it needs and whose files are gone, though the ledger holds them as done."""
    chosen = set(todo.cells)
    for cell in reversed(list(plan)):
        if cell.id in chosen:
            chosen.update(parent for parent in cell.needs if parent not in chosen and not whole(parent))
    return Plan(plan.study, {cell.id: cell for cell in plan if cell.id in chosen})


def _stays_failed(cell: CellId, todo: Mapping[CellId, Cell], records: Mapping[CellId, Record]) -> bool:
    record = records.get(cell)
    return cell not in todo and record is not None and record.status is Status.FAILED


def _may_pass(record: Record) -> bool:
    return record.failure is not None and record.failure.retryable


class Run:
    """One run of a plan, whatever executes it: hands out jobs, files what comes back, tells the listeners.

    Args:
        plan: the cells that are wanted.
        place: where workers read and write.
        ledger: opened for writing by this process.
        resources: of the study's stages.
        listeners: told of everything, in this thread.
        retry_failed: also run cells that the ledger holds as failed.
        work: runs one job: ``execute``, except in benchmarks of the scheduling itself.
    """

    def __init__(
        self,
        plan: Plan,
        place: Place,
        ledger: Ledger,
        resources: StageResources,
        *,
        listeners: Sequence[Listener] = (),
        retry_failed: bool = False,
        work: Work = execute,
    ) -> None:
        self.plan, self.place, self.resources, self.work = plan, place, resources, work
        self._ledger, self._listeners = ledger, listeners
        self._clock = time.perf_counter()
        self._executed = 0
        self._seconds_of_work = 0.0
        self._records = {cell: record for cell, record in ledger.records().items() if cell in plan.cells}
        self._adopt()
        todo, blocked = outstanding(plan, self._records, retry_failed=retry_failed)
        self.todo = with_lost_models(plan, todo, place.artifacts.whole)
        self.queue = JobQueue(jobs(self.todo), self.todo, resources)
        for listener in listeners:
            listener.begin(plan, {cell: r for cell, r in self._records.items() if cell not in self.todo.cells})
        self._block({plan.cells[cell]: parent for cell, parent in blocked.items()})

    def started(self, job: Job) -> None:
        """A worker has taken up a job."""
        for listener in self._listeners:
            listener.started(job.cells[0])

    def progress(self, cell: CellId, row: Mapping[str, float]) -> None:
        """A running cell reports."""
        for listener in self._listeners:
            listener.progress(self.plan.cells[cell], row)

    def tick(self) -> None:
        """Nothing has come back; let the listeners catch up."""
        for listener in self._listeners:
            listener.tick()

    def finish(self, job: Job, records: Sequence[Record]) -> None:
        """A job has come back: commit its records, unlock what waits for them, block what cannot run any more."""
        told = {record.cell for record in records}
        self._commit(records)
        done = [record.cell for record in records if record.status is Status.DONE]
        failed = next((record.cell for record in records if record.status is not Status.DONE), None)
        silent = {cell: failed for cell in job.cells if cell.id not in told and failed}
        below = self.queue.settle(job, done)
        self._block(silent | {cell: self._culprit(cell) for cell in below})

    def lost(self, job: Job, failure: Failure) -> None:
        """The job's worker is gone and its retries are used up; what it had finished is kept."""
        kept = self.place.artifacts.left_behind([cell.id for cell in job.cells])
        finished = {record.cell for record in kept}
        unfinished = [cell for cell in job.cells if cell.id not in finished]
        model_gone = unfinished and unfinished[0].stage.makes_model  # blocks the rest; scores do not need each other
        lost = [
            record_of(cell, self.place, status=Status.FAILED, failure=failure, started=time.time())
            for cell in (unfinished[:1] if model_gone else unfinished)
        ]
        self.finish(job, [*kept, *lost])

    def summary(self) -> RunSummary:
        """The run so far."""
        statuses = [record.status for record in self._records.values()]
        return RunSummary(
            done=statuses.count(Status.DONE),
            failed=statuses.count(Status.FAILED),
            blocked=statuses.count(Status.BLOCKED),
            executed=self._executed,
            seconds=time.perf_counter() - self._clock,
            work=self._seconds_of_work,
        )

    def _adopt(self) -> None:
        """Commit what a killed driver's workers had finished and nobody had filed."""
        missing = [
            c.id for c in self.plan if c.id not in self._records or self._records[c.id].status is not Status.DONE
        ]
        found = self.place.artifacts.left_behind(missing)
        if found:
            self._ledger.commit(*found)
            self._records.update({record.cell: record for record in found})

    def _commit(self, records: Iterable[Record]) -> None:
        filed = [replace(record, attempt=self._attempt(record.cell)) for record in records]
        if not filed:
            return
        self._ledger.commit(*filed)
        for record in filed:
            self._records[record.cell] = record
            self._executed += record.status is not Status.BLOCKED
            self._seconds_of_work += record.seconds
            for listener in self._listeners:
                listener.finished(record)

    def _attempt(self, cell: CellId) -> int:
        before = self._records.get(cell)
        return before.attempt + 1 if before and before.status is Status.FAILED else 1

    def _block(self, blocked: Mapping[Cell, CellId]) -> None:
        self._commit(
            record_of(
                cell,
                self.place,
                status=Status.BLOCKED,
                failure=Failure(kind="blocked", message=f"needs {self.plan.cells[parent].name}"),
                started=time.time(),
            )
            for cell, parent in blocked.items()
            if not self._already_blocked(cell.id)
        )

    def _already_blocked(self, cell: CellId) -> bool:
        record = self._records.get(cell)
        return record is not None and record.status is Status.BLOCKED

    def _culprit(self, cell: Cell) -> CellId:
        """The parent of a blocked cell that is not done."""
        return next(
            parent
            for parent in cell.needs
            if parent not in self._records or self._records[parent].status is not Status.DONE
        )

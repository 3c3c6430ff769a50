"""Plan minus ledger, run and committed: the driver is the sole writer of the ledger."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.plan.cells import Cell, CellId, Stage
from orchestrator.plan.graph import Plan
from orchestrator.plan.jobs import Job, jobs
from orchestrator.plan.tuned import resolved
from orchestrator.run.execute import Work, execute, record_of
from orchestrator.run.left import may_pass, outstanding, with_lost_models
from orchestrator.run.listen import Listener
from orchestrator.run.place import Place
from orchestrator.run.queue import JobQueue, Lane
from orchestrator.run.tuning import TrialJob, Tunings
from orchestrator.store.chosen import chosen
from orchestrator.store.ledger import Ledger
from orchestrator.store.records import Failure, Record, Status
from orchestrator.study.resources import StageResources


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


class Run:
    """One run of a plan, whatever executes it: hands out jobs, files what comes back, tells the listeners.

    Args:
        plan: the cells that are wanted.
        place: where workers read and write.
        ledger: opened for writing by this process.
        resources: of the study's stages.
        listeners: told of everything, in this thread; of a trial only through its tuning.
        retry_failed: also run cells that the ledger holds as failed.
        work: runs one job: ``execute``, except in benchmarks of the scheduling itself.
        trials: the database where Optuna keeps trials; the tunings' own folders if not given.

    Attributes:
        plan: with every cell whose parameters a tuning has chosen by now as the ordinary cell it is.
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
        trials: str | None = None,
    ) -> None:
        self.plan, self.place, self.resources, self.work = plan, place, resources, work
        self._ledger, self._listeners, self._retry_failed = ledger, listeners, retry_failed
        self._clock = time.perf_counter()
        self._executed = 0
        self._seconds_of_work = 0.0
        self._over: set[CellId] = set()
        self._records = ledger.records()
        self._tunings = Tunings(self, place, resources, trials)
        self.queue = JobQueue((), Plan(plan.study, {}), resources)
        self._resolve()
        while self.adopt(self.plan):  # among that may be what a tuning has chosen
            self._resolve()
        blocked = self._queue_up()
        for listener in listeners:
            listener.begin(self.plan, self._settled())
        self._block(blocked)

    def take(self, *lanes: Lane) -> Job | None:
        """The next job of these lanes, which is then out; None if none is ready. Trials go first: most waits for them.

        Raises:
            InputError: the database of trials cannot be used.
        """
        while True:
            self._search()
            job = self._tunings.take(*lanes)
            if job is not None or not self._conclude():
                return job or self.queue.take(*lanes)

    def ready(self, which: Lane) -> bool:
        """Whether a job of this lane could start now."""
        self._search()
        while self._conclude():  # a driver that died had been told of all trials of a tuning, and not filed it
            self._search()
        return self._tunings.ready(which) or self.queue.ready(which)

    def started(self, job: Job) -> None:
        """A worker has taken up a job."""
        if not isinstance(job, TrialJob):
            for listener in self._listeners:
                listener.started(job.cells[0])

    def progress(self, cell: CellId, row: Mapping[str, float]) -> bool:
        """A running cell reports.

        Returns:
            Whether it should be stopped: it is a trial's, and behind others.
        """
        behind = self._tunings.behind(cell, row)
        if behind is None:
            for listener in self._listeners:
                listener.progress(self.plan.cells[cell], row)
        return bool(behind)

    def tick(self) -> None:
        """Nothing has come back; let the listeners catch up."""
        for listener in self._listeners:
            listener.tick()

    def finish(self, job: Job, records: Sequence[Record]) -> None:
        """A job has come back: commit its records, unlock what waits for them, block what cannot run any more."""
        told = {record.cell for record in records}
        self._commit(records)
        if isinstance(job, TrialJob):
            self._tunings.finish(job)
            self._conclude()
            return
        done = [record.cell for record in records if record.status is Status.DONE]
        failed = next((record.cell for record in records if record.status is not Status.DONE), None)
        silent = {cell: failed for cell in job.cells if cell.id not in told and failed}
        below = self.queue.settle(job, done)
        self._block(silent | {cell: self._culprit(cell) for cell in below})

    def stopped(self, job: Job) -> None:
        """A job has come to an end where ``progress`` asked for it."""
        assert isinstance(job, TrialJob)
        self._tunings.stop(job)
        self._conclude()

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
        statuses = [self._records[cell].status for cell in self.plan.cells if cell in self._records]
        return RunSummary(
            done=statuses.count(Status.DONE),
            failed=statuses.count(Status.FAILED),
            blocked=statuses.count(Status.BLOCKED),
            executed=self._executed,
            seconds=time.perf_counter() - self._clock,
            work=self._seconds_of_work,
        )

    def ended(self, cell: CellId) -> Record | None:
        """The record of a cell that this run need not run: it is done, or has failed for good."""
        record = self._records.get(cell)
        if record is None or record.status is Status.BLOCKED:
            return None
        return None if record.status is Status.FAILED and self._again(record) else record

    def busy(self, cell: CellId) -> bool:
        """Whether a job has the cell, one that is out or one that is yet to be handed out."""
        return self.queue.has(cell) or self._tunings.has(cell)

    def _again(self, record: Record) -> bool:
        """Whether a failed cell is run again: once a run, where that may help or was asked for."""
        return record.cell not in self._over and (self._retry_failed or may_pass(record))

    def adopt(self, cells: Iterable[Cell]) -> bool:
        """Commit what a killed driver's workers had finished of these cells and nobody had filed; whether any."""
        records = ((cell.id, self._records.get(cell.id)) for cell in cells)
        missing = [cell for cell, record in records if record is None or record.status is not Status.DONE]
        found = self.place.artifacts.left_behind(missing)
        self._ledger.commit(*found)
        self._records.update({record.cell: record for record in found})
        return bool(found)

    def _resolve(self) -> None:
        self.plan = resolved(self.plan, chosen(self._records.values()))

    def _queue_up(self) -> Mapping[Cell, CellId]:
        """Make the queue of what is left of the plan, what is out included; the cells that cannot run, and why."""
        todo, blocked = outstanding(self.plan, self._records, self._again)
        out = self.queue.out
        at_work = {cell.id for job in out.values() for cell in job.cells}
        whole = self.place.artifacts.whole
        self.todo = with_lost_models(self.plan, todo, lambda cell: cell not in at_work and whole(cell))
        self.queue = JobQueue(jobs(self.todo), self.todo, self.resources, out)
        return {self.plan.cells[cell]: parent for cell, parent in blocked.items()}

    def _settled(self) -> Mapping[CellId, Record]:
        """What the ledger holds of the plan and need not be run."""
        return {
            cell: self._records[cell]
            for cell in self.plan.cells
            if cell in self._records and cell not in self.todo.cells
        }

    def _search(self) -> None:
        """Open the tunings whose trials may now start."""
        while (job := self.queue.take(Lane.TUNE)) is not None:
            record = self._records.get(job.id)
            self._tunings.open(job, anew=record is not None and record.status is Status.FAILED)
            for listener in self._listeners:
                listener.started(job.cells[0])

    def _conclude(self) -> bool:
        """File the tunings that have ended, and go on with the plan that follows; whether there were any."""
        ended = list(self._tunings.close())
        for job, record in ended:
            self._commit([record])
            done = [record.cell] if record.status is Status.DONE else []
            self._block({cell: self._culprit(cell) for cell in self.queue.settle(job, done)})
        if any(record.status is Status.DONE for _, record in ended):
            self._resolve()
            blocked = self._queue_up()
            for listener in self._listeners:
                listener.replanned(self.plan, self._settled())
            self._block(blocked)
        return bool(ended)

    def _commit(self, records: Iterable[Record]) -> None:
        filed = [replace(record, attempt=self._attempt(record.cell)) for record in records]
        if not filed:
            return
        self._ledger.commit(*filed)
        for record in filed:
            self._records[record.cell] = record
            self._over.add(record.cell)
            if record.stage != Stage.TUNE:  # its work is that of its trials
                self._executed += record.status is not Status.BLOCKED
                self._seconds_of_work += record.seconds
            for listener in self._listeners if record.cell in self.plan.cells else ():
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

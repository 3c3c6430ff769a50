"""The tunings of a run: which trial comes next, and what all of them together have chosen."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from orchestrator.plan.cells import Cell, CellId, Stage
from orchestrator.plan.jobs import Job
from orchestrator.plan.tuned import followed_by, judged_by, settings
from orchestrator.run.found import record_of_search
from orchestrator.run.place import Place
from orchestrator.run.queue import Lane, lane
from orchestrator.store.records import Record, Status
from orchestrator.study.resources import StageResources

if TYPE_CHECKING:
    import optuna

    from orchestrator.run.trials import Asked, Trials


@dataclass(frozen=True, slots=True)
class TrialJob(Job):
    """The job of one trial.

    Attributes:
        tune: the tuning's cell.
        number: of the trial.
        followed: whether it is stopped where it falls behind others.
    """

    tune: Cell
    number: int
    followed: bool


def is_followed(job: Job) -> bool:
    """Whether the job must tell of every epoch, because it is stopped where it falls behind others."""
    return isinstance(job, TrialJob) and job.followed


class Desk(Protocol):
    """What tunings ask of the run that they are part of."""

    def ended(self, cell: CellId) -> Record | None:
        """The record of a cell that this run need not run: it is done, or has failed for good."""

    def adopt(self, cells: Iterable[Cell]) -> bool:
        """File what a worker had finished of these cells, and a driver that died had not."""

    def busy(self, cell: CellId) -> bool:
        """Whether another job has the cell, one that is out or one that is yet to be handed out."""

    def progress(self, cell: CellId, row: Mapping[str, float]) -> bool:
        """A tuning's standing."""


@dataclass
class _Search:
    """One tuning under way, with the trials that are out and those that wait for another job of the same cells."""

    job: Job
    trials: Trials
    out: dict[int, Asked] = field(default_factory=dict)
    waiting: dict[int, Asked] = field(default_factory=dict)
    stopped: dict[CellId, int] = field(default_factory=dict)

    @property
    def tune(self) -> Cell:
        return self.job.cells[0]

    @property
    def over(self) -> bool:
        return not (self.trials.left or self.out or self.waiting)


class Tunings:
    """The tunings that are under way; together they fill whatever there is to run on.

    Args:
        desk: the run.
        place: where it reads and writes.
        resources: decide in which lane a tuning's trials run.
        database: where Optuna keeps all trials; in the tunings' own folders if not given.
    """

    def __init__(self, desk: Desk, place: Place, resources: StageResources, database: str | None) -> None:
        self._desk, self._place, self._resources = desk, place, resources
        self._uri = database
        self._database: optuna.storages.RDBStorage | None = None
        self._searches: dict[CellId, _Search] = {}
        self._cells: dict[CellId, TrialJob] = {}

    def __iter__(self) -> Iterator[Cell]:
        """The cells of the tunings that are under way."""
        return (search.tune for search in self._searches.values())

    def open(self, job: Job, *, anew: bool) -> None:
        """Everything that a tuning needs is done: its trials may start, or go on.

        Args:
            anew: it has failed before, and is tried again.

        Raises:
            InputError: the database does not answer.
        """
        from orchestrator.run.optuna_parts import connected
        from orchestrator.run.trials import Trials

        if self._uri is not None and self._database is None:
            self._database = connected(self._uri)
        tune = job.cells[0]
        search = _Search(job, Trials(tune, self._place.folder(tune.id), self._database, anew=anew))
        search.stopped = {
            told.cell: told.number for told in search.trials.told() if told.cell and told.state == "stopped"
        }
        self._searches[tune.id] = search

    def ready(self, which: Lane) -> bool:
        """Whether a trial of this lane may be there to run."""
        return any(search.trials.left or any(map(self._free, search.waiting.values())) for search in self._in(which))

    def take(self, *lanes: Lane) -> TrialJob | None:
        """The next trial, of the tuning with the fewest out; None where there is none to run now.

        Asked for as late as this, so that it knows of all that have ended.
        """
        for search in sorted(self._in(*lanes), key=lambda search: len(search.out)):
            if (job := self._next(search)) is not None:
                return job
        return None

    def finish(self, job: TrialJob) -> None:
        """A trial's job has come back, and its records are filed."""
        search, asked = self._back(job)
        if not self._settle(search, asked):
            search.trials.fail(asked.number, "it came back without a result")
            self._tell(search)

    def stop(self, job: TrialJob) -> None:
        """A trial's job was stopped early; nothing is kept of it but how far it came."""
        search, asked = self._back(job)
        search.trials.stop(asked.number)
        search.stopped[job.id] = asked.number
        shutil.rmtree(self._place.artifacts.folder(job.id), ignore_errors=True)
        self._tell(search)

    def behind(self, cell: CellId, row: Mapping[str, float]) -> bool | None:
        """A trial's model tells of an epoch: whether it should be stopped; None where the cell is no trial's."""
        job = self._cells.get(cell)
        if job is None:
            return None
        figure = followed_by(job.tune)
        if not job.followed or figure not in row or "epoch" not in row:
            return False
        return self._searches[job.tune.id].trials.behind(job.number, int(row["epoch"]), row[figure])

    def close(self) -> Iterator[tuple[Job, Record]]:
        """The tunings all of whose trials have been told, with their records; they are not under way any more."""
        for search in [search for search in self._searches.values() if search.over]:
            del self._searches[search.tune.id]
            yield search.job, record_of_search(search.trials, self._desk.ended, self._place)

    def _in(self, *lanes: Lane) -> list[_Search]:
        return [search for search in self._searches.values() if self._lane(search.tune) in lanes]

    def _lane(self, tune: Cell) -> Lane:
        return lane(Stage(str(tune.params["stage"])), self._resources)

    def _next(self, search: _Search) -> TrialJob | None:
        for asked in list(search.waiting.values()):
            if (job := self._job(search, asked)) is not None:
                return job
        while search.trials.left:
            asked_now = search.trials.ask()
            if asked_now is None:
                self._tell(search)
                continue
            if asked_now.again:
                self._desk.adopt(asked_now.cells)
            if (job := self._job(search, asked_now)) is not None:
                return job
        return None

    def _job(self, search: _Search, asked: Asked) -> TrialJob | None:
        """The job of a trial; None where it is known how it ends, or another job is about to tell."""
        if self._settle(search, asked):
            return None
        if not self._free(asked):
            search.waiting[asked.number] = asked
            return None
        search.waiting.pop(asked.number, None)
        search.out[asked.number] = asked
        model = asked.cells[0]
        # What judges the model reads its folder.
        whole = self._desk.ended(model.id) is not None and self._place.artifacts.whole(model.id)
        job = TrialJob(
            cells=asked.cells[1:] if whole else asked.cells,
            needs=frozenset(),
            tune=search.tune,
            number=asked.number,
            followed=settings(search.tune)["scheduler"] != "none",
        )
        self._cells.update((cell.id, job) for cell in job.cells)
        return job

    def _free(self, asked: Asked) -> bool:
        return not any(self._desk.busy(cell.id) for cell in asked.cells)

    def has(self, cell: CellId) -> bool:
        """Whether a trial that is out has the cell."""
        return cell in self._cells

    def _back(self, job: TrialJob) -> tuple[_Search, Asked]:
        for cell in job.cells:
            self._cells.pop(cell.id, None)
        search = self._searches[job.tune.id]
        return search, search.out.pop(job.number)

    def _settle(self, search: _Search, asked: Asked) -> bool:
        """Tell Optuna of a trial whose cells have ended, in whatever job, or that equals one that was stopped."""
        records = [record for cell in asked.cells if (record := self._desk.ended(cell.id)) is not None]
        failed = next((record for record in records if record.status is not Status.DONE), None)
        if failed is not None:
            search.trials.fail(asked.number, _why(failed))
        elif len(records) == len(asked.cells):
            value = records[-1].metrics.get(figure := judged_by(search.tune))
            if value is None:
                search.trials.fail(asked.number, f"{records[-1].name} has no {figure}")
            else:
                search.trials.complete(asked.number, value)
        elif (other := search.stopped.get(asked.cells[0].id)) is not None:
            search.trials.stop_like(asked.number, other)
        else:
            return False
        search.waiting.pop(asked.number, None)
        self._tell(search)
        return True

    def _tell(self, search: _Search) -> None:
        row = {"trial": float(search.trials.ended), "trials": float(search.trials.wanted)}
        best = search.trials.best
        self._desk.progress(search.tune.id, row if best is None else {**row, "best": best})


def _why(record: Record) -> str:
    failure = record.failure
    return f"{failure.kind}: {failure.message}" if failure else "no reason was filed"

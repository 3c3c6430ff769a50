"""MLflow as a view of the ledger: how a cell's run is made, and how it is found again.

A study is a parent run, and each of its cells a child with tag ``cell_id``; the trials of a tuning are children of its
run, with tags ``tuning`` and ``trial``. A child also carries ``record``, the mark of the record it shows; so every call
here can be made again without harm. Nothing else is read back from MLflow.

The only module that imports mlflow, and only when it connects.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from orchestrator.plan.cells import Cell, CellId, Reading, Tags
from orchestrator.store.artifacts import Artifacts
from orchestrator.store.records import Record, Status
from orchestrator.store.run_view import (
    Point,
    TrialRun,
    curve,
    ended,
    identity,
    images_counts,
    images_name,
    images_source,
    mark,
    marks,
    outcome,
    parameters,
    parameters_of,
    points,
    step_of,
    trial_key,
    trial_runs,
)
from orchestrator.store.target import Target

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # Retrying is the mirror's own task: MLflow's retries take minutes, and can make a run twice.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
_QUIET = {"mlflow": logging.WARNING, "mlflow.store.db.utils": logging.CRITICAL, "alembic": logging.WARNING}
_REFUSALS = {"INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"}
_STATUS = {Status.DONE: "FINISHED", Status.FAILED: "FAILED", Status.BLOCKED: "KILLED"}
_PICTURES = {".png", ".svg", ".html"}
_SMALL = 2_000_000
_KIND = {"mlflow.experimentKind": "custom_model_development"}  # the UI then opens on runs, not on chat traces
_PARENT = "mlflow.parentRunId"
_STUDY = "study_run"
"""Tag of a trial's run: the parent of the study, so that one search finds all trials, whatever they are under."""
_BATCH = {"metrics": 800, "params": 100, "tags": 100}


class Unreachable(Exception):  # noqa: N818 (a state of the world, told to the mirror)
    """The tracking store does not answer, or not as it should; trying later may help."""


class Rejected(Exception):  # noqa: N818
    """The tracking store refuses this request; the next one may succeed."""


@dataclass(slots=True)
class _Child:
    """What is known of a cell's run, or of a trial's.

    Attributes:
        under: the run that it is a child of.
        mark: of the record or trial it shows; empty while it shows none.
        live: whether this process feeds it.
        steps: epochs it has been told.
    """

    run: str
    under: str = ""
    mark: str = ""
    live: bool = False
    steps: set[int] = field(default_factory=set)


class CellRuns:
    """The runs of one study; the database, the experiment and the parent run are made if they are not there.

    Not thread-safe. Every method may raise ``Unreachable`` or ``Rejected``; after either, call ``forget``.

    Args:
        target: where they are.
        tags: the names of the plan's cells, where a record may carry those of another study.
        moved: is called after each trial that is told: a tuning of hundreds takes minutes, and is one call of ``put``.
    """

    def __init__(
        self, target: Target, tags: Mapping[CellId, Tags] | None = None, moved: Callable[[], None] = lambda: None
    ) -> None:
        self._target = target
        self._tags = tags or {}
        self._moved = moved
        self._artifacts = Artifacts(target.storage)
        self._children: dict[str, _Child] | None = None
        self._trials: dict[str, _Child] | None = None
        client = _client_type()
        with _translated(), _opening(target):
            self._client = client(tracking_uri=target.uri)
            self._experiment = self._find_experiment()
            self._parent, self._mirrored, self._open = self._find_parent()

    def forget(self) -> None:
        """Look again before the next call: a request that failed may have done its work all the same."""
        self._children = self._trials = None

    def rename(self, tags: Mapping[CellId, Tags]) -> None:
        """From now on these are the names of the plan's cells."""
        self._tags = tags

    def epoch(self, cell: Cell, row: Mapping[str, float]) -> None:
        """Add a row to the curves of a running cell."""
        with _translated():
            child = self._known().get(cell.id)
            if child is None or not child.live:
                tags = {**identity(cell, self._tags.get(cell.id)), "status": "running"}
                child = self._create(cell.id, cell.name, tags, time(), cell.reads)
                self._log(child, params=parameters(cell.params))
            step = step_of(row, len(child.steps))
            if step not in child.steps:
                self._log(child, curve(row, step, time()))
                child.steps.add(step)

    def put(self, record: Record) -> None:
        """Make a cell's run show this record, and runs under it its trials; nothing is done if they already do."""
        with _translated():
            child = self._known().get(record.cell)
            if child is None or child.mark != mark(record):
                child = self._told(child, record)
            self._show_trials(child, record)
            if child.mark != mark(record):  # last: a run that has ended has all of its trials
                self._client.set_terminated(child.run, _STATUS[record.status], _milliseconds(ended(record) or time()))
                child.mark, child.live = mark(record), False

    def shows(self, records: Iterable[Record]) -> bool:
        """Whether the parent run was ended with just these records mirrored, and not opened again since."""
        return not self._open and marks(records) == self._mirrored

    def missing(self, records: Sequence[Record], *, thorough: bool = False) -> list[Record]:
        """Those of the records that no run shows yet.

        Args:
            thorough: look at every run, even if the parent says that all of them are there; and at every trial's.
        """
        if not thorough and marks(records) == self._mirrored:
            return []
        with _translated():
            shown = {cell: child.mark for cell, child in self._known().items()}
            return [
                record
                for record in records
                if shown.get(record.cell) != mark(record) or (thorough and any(self._trials_to_show(record)))
            ]

    def finish(self, records: Iterable[Record], artifacts: Sequence[Path] = (), *, complete: bool = True) -> None:
        """End the parent run: cells by status, and the report's files as artifacts.

        Args:
            records: all of the study.
            artifacts: files, or folders that are taken with all they hold.
            complete: whether every record is mirrored.
        """
        records = list(records)
        counts = {f"cells.{each.value}": str(sum(r.status is each for r in records)) for each in Status}
        shown = marks(records) if complete else ""
        with _translated():
            self._log(_Child(self._parent), tags={**counts, "ledger": shown})
            for path in artifacts:
                log = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
                log(self._parent, str(path))
            whole = all(record.status is Status.DONE for record in records)
            self._client.set_terminated(self._parent, "FINISHED" if whole else "FAILED")
        self._mirrored, self._open = shown, False

    def _find_experiment(self) -> str:
        found = self._client.get_experiment_by_name(self._target.experiment)
        if found is None:
            return self._client.create_experiment(self._target.experiment, self._target.artifacts, _KIND)
        if found.lifecycle_stage != "active":
            self._client.restore_experiment(found.experiment_id)
        return found.experiment_id

    def _find_parent(self) -> tuple[str, str, bool]:
        """The parent's run, the mark of the ledger it shows, and whether it is open."""
        # One server may hold the same study twice, from the storages of two people.
        tags = {"stage": "study", "study": self._target.study, "storage": self._target.storage.as_uri()}
        where = " and ".join(f"tags.{key} = '{value}'" for key, value in tags.items())
        for run in self._client.search_runs([self._experiment], where, max_results=1):
            return run.info.run_id, run.data.tags.get("ledger", ""), run.info.status == "RUNNING"
        run = self._client.create_run(self._experiment, tags=tags, run_name=self._target.study)
        self._children, self._trials = {}, {}
        return run.info.run_id, "", True

    def _known(self) -> dict[str, _Child]:
        if self._children is None:
            self._children = self._found(f"tags.`{_PARENT}` = '{self._parent}'", lambda tags: tags["cell_id"])
        return self._children

    def _known_trials(self) -> dict[str, _Child]:
        if self._trials is None:
            self._trials = self._found(f"tags.{_STUDY} = '{self._parent}'", trial_key)
        return self._trials

    def _found(self, where: str, key: Callable[[Mapping[str, str]], str]) -> dict[str, _Child]:
        """The runs of a search by what they are of; a second run of the same is deleted."""
        # Ended runs first: of two for one cell (a lost answer, a killed driver) that is the one to keep.
        runs = sorted(self._search(where), key=lambda run: run.info.status == "RUNNING")
        found: dict[str, _Child] = {}
        for run in runs:
            tags = run.data.tags
            shown = "" if run.info.status == "RUNNING" else tags.get("record", "")
            child = _Child(run.info.run_id, tags[_PARENT], shown)
            if found.setdefault(key(tags), child) is not child:
                self._client.delete_run(child.run)
        return found

    def _search(self, where: str) -> Iterator[Run]:
        token = None
        while True:
            page = self._client.search_runs([self._experiment], where, max_results=5000, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _create(
        self, cell: CellId, name: str, tags: Mapping[str, str], started: float, reads: Sequence[Reading]
    ) -> _Child:
        # What a killed driver or an earlier attempt left would mix two curves in one chart.
        if left := self._known().pop(cell, None):
            self._client.delete_run(left.run)
        if not self._open:
            self._client.update_run(self._parent, "RUNNING")
            self._open = True
        tags = {_PARENT: self._parent, **tags}
        run = self._client.create_run(self._experiment, _milliseconds(started), tags, name)
        child = _Child(run.info.run_id, self._parent, live=True)
        self._known()[cell] = child
        if reads:
            self._client.log_inputs(child.run, [self._input(reading) for reading in reads])
        return child

    def _told(self, child: _Child | None, record: Record) -> _Child:
        """The run of a cell with everything in it that its record tells, not ended yet."""
        tags = outcome(record, self._artifacts)
        if child is not None and child.live:
            self._log(child, points(record, child.steps), tags=tags)
        else:
            tags = {**identity(record, self._tags.get(record.cell)), **tags}
            child = self._create(record.cell, record.name, tags, record.started or time(), record.reads)
            self._log(child, points(record), parameters_of(record))
        self._attach(child, record)
        return child

    def _show_trials(self, tuning: _Child, record: Record) -> None:
        """A run under the tuning's for each of its trials; those that an earlier run of it had are taken over."""
        for trial in self._trials_to_show(record, tuning.run):
            known = self._known_trials().get(trial.key)
            if known is not None and known.mark == trial.mark:
                self._client.set_tag(known.run, _PARENT, tuning.run)
                known.under = tuning.run
            else:
                self._create_trial(trial, tuning.run)

    def _trials_to_show(self, record: Record, under: str = "") -> Iterator[TrialRun]:
        """Those of a tuning's trials that no run shows; with ``under``, also those whose run is not there."""
        for trial in trial_runs(record, self._artifacts, self._tags.get(record.cell)):
            known = self._known_trials().get(trial.key)
            if known is None or known.mark != trial.mark or (under and known.under != under):
                yield trial

    def _create_trial(self, trial: TrialRun, under: str) -> None:
        if left := self._known_trials().pop(trial.key, None):
            self._client.delete_run(left.run)
        tags = {_PARENT: under, _STUDY: self._parent, **trial.tags}
        run = self._client.create_run(self._experiment, _milliseconds(trial.started), tags, trial.name)
        child = _Child(run.info.run_id, under)
        self._log(child, trial.points, trial.params)
        self._client.set_terminated(child.run, trial.status, _milliseconds(trial.ended))
        child.mark = trial.mark
        self._known_trials()[trial.key] = child
        self._moved()

    def _input(self, reading: Reading) -> DatasetInput:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        name, source = images_name(reading), images_source(self._target.data)
        dataset = Dataset(name, reading.digest, "local", source, profile=images_counts(reading))
        return DatasetInput(dataset, [InputTag("mlflow.data.context", reading.role)])

    def _log(
        self,
        child: _Child,
        metrics: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Metric, Param, RunTag

        left: dict[str, list[Any]] = {
            "metrics": [Metric(p.key, p.value, _milliseconds(p.time), p.step) for p in metrics],
            "params": [Param(key, value) for key, value in (params or {}).items()],
            "tags": [RunTag(key, value) for key, value in (tags or {}).items()],
        }
        while any(left.values()):
            batch: dict[str, Any] = {kind: items[: _BATCH[kind]] for kind, items in left.items()}
            self._client.log_batch(child.run, **batch)
            left = {kind: items[_BATCH[kind] :] for kind, items in left.items()}

    def _attach(self, child: _Child, record: Record) -> None:
        if record.failure and record.failure.traceback:
            self._client.log_text(child.run, record.failure.traceback, "traceback.txt")
        folder = self._artifacts.folder(record.cell)
        for path in (folder / name for name in record.files):
            if path.suffix in _PICTURES and path.is_file() and path.stat().st_size <= _SMALL:
                self._client.log_artifact(child.run, str(path))


def _client_type() -> type[MlflowClient]:
    for key, value in _ENVIRONMENT.items():
        os.environ.setdefault(key, value)
    from mlflow import MlflowClient

    for name, level in _QUIET.items():
        logging.getLogger(name).setLevel(level)
    return MlflowClient


@contextmanager
def _opening(target: Target) -> Iterator[None]:
    """Held while a local database is opened: two processes that make one at a time destroy it."""
    if target.database is None:
        yield
        return
    target.database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.database.with_name(f"{target.database.name}.lock")):
        if not target.database.exists():
            # Kept in the file: a commit waits for the disk once instead of three times, and pages may be browsed
            # while the run writes.
            with closing(sqlite3.connect(target.database)) as database:
                database.execute("PRAGMA journal_mode = WAL")
        yield


@contextmanager
def _translated() -> Iterator[None]:
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except MlflowException as error:
        raise (Rejected if error.error_code in _REFUSALS else Unreachable)(str(error)) from error
    except (OSError, SQLAlchemyError) as error:
        raise Unreachable(str(error)) from error
    except Exception as error:
        raise Rejected(f"{type(error).__name__}: {error}") from error


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)

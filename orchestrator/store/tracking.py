"""MLflow as a view of the ledger: what a cell's run looks like, and how it is found again.

A study is a parent run, and each of its cells a child with tag ``cell_id``. A child also carries ``record``, the mark of
the record it shows; so every call here can be made again without harm. Nothing is read back from MLflow but that.

The only module that imports mlflow, and only once it is asked to connect.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from orchestrator.plan.cells import Cell, CellId, Tags
from orchestrator.store.records import Record, Status
from trainables.errors import InputError

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Retrying is the mirror's own task: MLflow's retries would take minutes, and could make a run twice.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
_LOCAL_DATABASE = "sqlite:///"
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SERVERS = ("http", "https", "databricks")
_STATUS = {Status.DONE: "FINISHED", Status.FAILED: "FAILED", Status.BLOCKED: "KILLED"}
_PICTURES = {".png", ".svg", ".html"}
_SMALL = 2_000_000
_BATCH = {"metrics": 800, "params": 100, "tags": 100}


class Unreachable(Exception):
    """The tracking store does not answer, or not as it should; trying later may help."""


class Rejected(Exception):
    """The tracking store refuses this request; the next one may succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a study is mirrored to.

    Attributes:
        uri: of a tracking server or a database.
        experiment, study: names.
        storage: the storage folder.
    """

    uri: str
    experiment: str
    study: str
    storage: Path

    @classmethod
    def of(cls, study: str, storage: Path, uri: str | None = None, experiment: str | None = None) -> Target:
        """The target a study means: by default a database in its storage, and an experiment of its name.

        Raises:
            InputError: MLflow has no such kind of store.
        """
        storage = storage.absolute()
        uri = uri or f"{_LOCAL_DATABASE}{storage / 'mlflow.db'}"
        kind = uri.split(":")[0].split("+")[0]
        if kind not in (*_DATABASES, *_SERVERS) or ":" not in uri:
            raise InputError(
                "this is no MLflow tracking server or database",
                where="tracking.uri",
                value=uri,
                fix="leave it out, or use http(s)://host:port, sqlite:///path or postgresql://…",
            )
        return cls(uri=uri, experiment=experiment or study, study=study, storage=storage)

    @property
    def artifacts(self) -> str | None:
        """Where the experiment's artifacts go; a server decides for itself."""
        if self.uri.startswith(_SERVERS):
            return None
        return (self.storage / "mlartifacts" / self.experiment).as_uri()

    def ui_command(self, port: int = 5000) -> list[str]:
        """The command that shows this target in a browser, on loopback; for a server, that is the server itself."""
        command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", self.uri]
        return [*command, "--host", "127.0.0.1", "--port", str(port)]


@dataclass(slots=True)
class _Child:
    """What is known of a cell's run. ``mark`` is empty while the cell is not mirrored; ``live`` if we feed it."""

    run: str
    mark: str = ""
    live: bool = False
    steps: set[int] = field(default_factory=set)


class CellRuns:
    """The runs of one study.

    Not thread-safe. Every method may raise ``Unreachable`` or ``Rejected``; after either, call ``forget``.

    Args:
        target: where they are; the database, the experiment and the parent run are made if they are not there.
        tags: the names of the plan's cells, where a record may carry those of another study.
    """

    def __init__(self, target: Target, tags: Mapping[CellId, Tags] | None = None) -> None:
        self._target = target
        self._tags = tags or {}
        with _translated(), _first_alone(target.uri):
            _hush()
            from mlflow import MlflowClient

            self._client = MlflowClient(tracking_uri=target.uri)
            self._experiment = self._find_experiment()
            self._children: dict[str, _Child] | None = None
            self._parent, self._mirrored = self._find_parent()

    def forget(self) -> None:
        """Look again before the next call: a request that failed may have done its work all the same."""
        self._children = None

    def epoch(self, cell: Cell, row: Mapping[str, float]) -> None:
        """Add a row to the curves of a running cell."""
        with _translated():
            child = self._known().get(cell.id)
            if child is None or not child.live:
                params = _flat(cell.params)
                child = self._create(cell.id, cell.name, {**self._identity(cell), "status": "running"}, time.time())
                self._log(child.run, params=params)
            step = int(row.get("epoch", len(child.steps) + 1))
            self._log(child.run, metrics=_curve(row, step, time.time()))
            child.steps.add(step)

    def put(self, record: Record) -> None:
        """Make a cell's run show this record; nothing is done if it already does."""
        mark = _mark(record)
        with _translated():
            child = self._known().get(record.cell)
            if child is not None and child.mark == mark:
                return
            outcome = {**_outcome(record, self._target.storage), "record": mark}
            if child is None or not child.live:
                tags = {**self._identity(record), **outcome}
                child = self._create(record.cell, record.name, tags, record.started or time.time())
                self._log(child.run, metrics=_final(record, child.steps), params=_flat(record.params))
            else:
                self._log(child.run, metrics=_final(record, child.steps), tags=outcome)
            self._attach(child.run, record)
            self._client.set_terminated(child.run, _STATUS[record.status], _milliseconds(_ended(record)))
            child.mark, child.live = mark, False

    def replay(self, records: Iterable[Record], *, thorough: bool = False) -> None:
        """Mirror whatever of the records is not there yet.

        Args:
            thorough: look at every run, even if the parent says that all of them are there.
        """
        records = list(records)
        if thorough or _marks(records) != self._mirrored:
            for record in records:
                self.put(record)

    def finish(self, records: Iterable[Record], artifacts: Sequence[Path] = (), *, complete: bool = True) -> None:
        """Close the parent run: counts by status, and the report's files as artifacts.

        Args:
            records: all of the study.
            complete: whether every record is mirrored.
        """
        records = list(records)
        counts = {f"cells.{status.value}": sum(r.status is status for r in records) for status in Status}
        mark = _marks(records) if complete else ""
        with _translated():
            self._log(self._parent, tags={**{key: str(count) for key, count in counts.items()}, "ledger": mark})
            for path in artifacts:
                log = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
                log(self._parent, str(path))
            whole = all(record.status is Status.DONE for record in records)
            self._client.set_terminated(self._parent, "FINISHED" if whole else "FAILED")
        self._mirrored = mark

    def _find_experiment(self) -> str:
        found = self._client.get_experiment_by_name(self._target.experiment)
        if found is None:
            made: str = self._client.create_experiment(self._target.experiment, self._target.artifacts)
            return made
        if found.lifecycle_stage != "active":
            self._client.restore_experiment(found.experiment_id)
        known: str = found.experiment_id
        return known

    def _find_parent(self) -> tuple[str, str]:
        """The parent's run and the mark of the ledger it shows."""
        # One server may hold the same study twice, from the storages of two people.
        tags = {"stage": "study", "study": self._target.study, "storage": self._target.storage.as_uri()}
        where = " and ".join(f"tags.{key} = '{value}'" for key, value in tags.items())
        for run in self._client.search_runs([self._experiment], where, max_results=1):
            return run.info.run_id, run.data.tags.get("ledger", "")
        run = self._client.create_run(self._experiment, tags=tags, run_name=self._target.study)
        self._children = {}
        return run.info.run_id, ""

    def _known(self) -> dict[str, _Child]:
        if self._children is None:
            # Ended runs first: of two for one cell (a lost answer, a killed driver) that is the one to keep.
            runs = sorted(self._search(), key=lambda run: run.info.status == "RUNNING")
            self._children = {}
            for run in runs:
                child = _Child(run.info.run_id, run.data.tags.get("record", ""))
                if run.info.status == "RUNNING":
                    child.mark = ""
                if self._children.setdefault(run.data.tags["cell_id"], child) is not child:
                    self._client.delete_run(child.run)
        return self._children

    def _search(self) -> Iterator[Run]:
        where = f"tags.`mlflow.parentRunId` = '{self._parent}'"
        token = None
        while True:
            page = self._client.search_runs([self._experiment], where, max_results=5000, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _create(self, cell: CellId, name: str, tags: Mapping[str, str], started: float) -> _Child:
        # What a killed driver or an earlier attempt left would mix two curves in one chart.
        if left := self._known().pop(cell, None):
            self._client.delete_run(left.run)
        run = self._client.create_run(self._experiment, _milliseconds(started), dict(tags), name)
        child = _Child(run.info.run_id, live=True)
        self._known()[cell] = child
        return child

    def _identity(self, cell: Cell | Record) -> dict[str, str]:
        cell_id = cell.id if isinstance(cell, Cell) else cell.cell
        own = asdict(cell.tags) if isinstance(cell, Cell) else cell.tags
        place = asdict(self._tags[cell_id]) if cell_id in self._tags else own
        tags = {
            "mlflow.parentRunId": self._parent,
            "cell_id": cell_id,
            "stage": str(cell.stage),
            "method": cell.method,
            "data_digest": cell.data or "",
            **{key: str(value) for key, value in place.items()},
        }
        return {key: value for key, value in tags.items() if value}

    def _log(
        self,
        run: str,
        metrics: Sequence[Metric] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Param, RunTag

        left = {
            "metrics": list(metrics),
            "params": [Param(key, value) for key, value in (params or {}).items()],
            "tags": [RunTag(key, value) for key, value in (tags or {}).items()],
        }
        while any(left.values()):
            self._client.log_batch(run, **{kind: items[: _BATCH[kind]] for kind, items in left.items()})
            left = {kind: items[_BATCH[kind] :] for kind, items in left.items()}

    def _attach(self, run: str, record: Record) -> None:
        if record.failure and record.failure.traceback:
            self._client.log_text(run, record.failure.traceback, "traceback.txt")
        folder = self._target.storage / "cells" / record.cell[:2] / record.cell
        for path in (folder / name for name in record.files):
            if path.suffix in _PICTURES and path.is_file() and path.stat().st_size <= _SMALL:
                self._client.log_artifact(run, str(path))

"""MLflow, as far as this project asks it for anything: one experiment, its runs, and what is logged to them.

The only module that imports mlflow, and only when it connects.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from orchestrator.plan.cells import Reading
from orchestrator.store.run_view import Point, images_counts, images_name, images_source
from orchestrator.store.target import Target

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Run

PARENT = "mlflow.parentRunId"
"""Tag of a run: the one that it is shown under."""
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # Retrying is the mirror's own task: MLflow's retries take minutes, and can make a run twice.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
_QUIET = {"mlflow": logging.WARNING, "mlflow.store.db.utils": logging.CRITICAL, "alembic": logging.WARNING}
_REFUSALS = {"INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"}
_KIND = {"mlflow.experimentKind": "custom_model_development"}  # the UI then opens on runs, not on chat traces
_BATCH = {"metrics": 800, "params": 100, "tags": 100}
_PAGE = 5000


class Unreachable(Exception):  # noqa: N818 (a state of the world, told to the mirror)
    """The tracking store does not answer, or not as it should; trying later may help."""


class Rejected(Exception):  # noqa: N818
    """The tracking store refuses this request; the next one may succeed."""


@dataclass(slots=True)
class Child:
    """What is known of a run below the study's: a cell's, or a trial's.

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


class Experiment:
    """The experiment of a study; made if it is not there. Its methods raise what MLflow does: ``translated``.

    Args:
        client: of the target's server or database.
    """

    def __init__(self, client: MlflowClient, target: Target) -> None:
        self._client = client
        self._data = target.data
        self._id = self._found(target)

    def search(self, where: str, page: int = _PAGE) -> Iterator[Run]:
        """The runs of which this is so."""
        token = None
        while True:
            found = self._client.search_runs([self._id], where, max_results=page, page_token=token)
            yield from found
            token = found.token
            if not token:
                return

    def children(self, where: str, key: Callable[[Mapping[str, str]], str]) -> dict[str, Child]:
        """The runs of a search by what they are of; a second run of the same is deleted.

        Args:
            key: of a run's tags.
        """
        # Ended runs first: of two for one cell (a lost answer, a killed driver) that is the one to keep.
        runs = sorted(self.search(where), key=lambda run: run.info.status == "RUNNING")
        found: dict[str, Child] = {}
        for run in runs:
            tags = run.data.tags
            shown = "" if run.info.status == "RUNNING" else tags.get("record", "")
            child = Child(run.info.run_id, tags[PARENT], shown)
            if found.setdefault(key(tags), child) is not child:
                self.delete(child.run)
        return found

    def create(self, name: str, tags: Mapping[str, str], started: float | None = None) -> str:
        """A run that began at this Unix time, or now; its id."""
        run: Run = self._client.create_run(self._id, _milliseconds(started), dict(tags), name)
        made: str = run.info.run_id
        return made

    def delete(self, run: str) -> None:
        self._client.delete_run(run)

    def reopen(self, run: str) -> None:
        """Show a run that had ended as running."""
        self._client.update_run(run, "RUNNING")

    def end(self, run: str, status: str, at: float | None = None) -> None:
        """End a run, with a status of MLflow's, at this Unix time or now."""
        self._client.set_terminated(run, status, _milliseconds(at))

    def move(self, run: str, under: str) -> None:
        """Show a run under another one."""
        self._client.set_tag(run, PARENT, under)

    def log(
        self,
        run: str,
        metrics: Sequence[Point] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Add to a run, in as many requests as MLflow takes it in."""
        from mlflow.entities import Metric, Param, RunTag

        left: dict[str, list[Any]] = {
            "metrics": [Metric(p.key, p.value, round(p.time * 1000), p.step) for p in metrics],
            "params": [Param(key, value) for key, value in (params or {}).items()],
            "tags": [RunTag(key, value) for key, value in (tags or {}).items()],
        }
        while any(left.values()):
            batch: dict[str, Any] = {kind: items[: _BATCH[kind]] for kind, items in left.items()}
            self._client.log_batch(run, **batch)
            left = {kind: items[_BATCH[kind] :] for kind, items in left.items()}

    def log_images(self, run: str, reads: Sequence[Reading]) -> None:
        """Name the images that a run reads, as its data sets."""
        if reads:
            self._client.log_inputs(run, [self._input(reading) for reading in reads])

    def attach(self, run: str, path: Path) -> None:
        """A file as an artifact of the run, or a folder with all it holds."""
        log = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
        log(run, str(path))

    def attach_text(self, run: str, text: str, name: str) -> None:
        self._client.log_text(run, text, name)

    def _found(self, target: Target) -> str:
        found = self._client.get_experiment_by_name(target.experiment)
        if found is None:
            return self._client.create_experiment(target.experiment, target.artifacts, _KIND)
        if found.lifecycle_stage != "active":
            self._client.restore_experiment(found.experiment_id)
        return found.experiment_id

    def _input(self, reading: Reading) -> DatasetInput:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        name, source = images_name(reading), images_source(self._data)
        dataset = Dataset(name, reading.digest, "local", source, profile=images_counts(reading))
        return DatasetInput(dataset, [InputTag("mlflow.data.context", reading.role)])


@contextmanager
def connected(target: Target) -> Iterator[Experiment]:
    """The target's experiment; a database that is a file is this process's alone within.

    Raises:
        Unreachable, Rejected: also of what is asked within.
    """
    client = _client_type()
    with translated(), _opening(target):
        yield Experiment(client(tracking_uri=target.uri), target)


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
def translated() -> Iterator[None]:
    """Whatever MLflow raises within becomes ``Unreachable`` or ``Rejected``."""
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


def _milliseconds(time: float | None) -> int | None:
    return None if time is None else round(time * 1000)

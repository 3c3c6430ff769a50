"""A Ray Tune searcher that hands out the ready jobs of a run: Tune schedules the grid as a graph."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from orchestrator.plan.jobs import Job
from orchestrator.run.driver import Run
from orchestrator.run.queue import Lane
from orchestrator.run.tasks import TaskPool
from orchestrator.run.tuning import is_followed
from orchestrator.run.wire import pack_job, unpack_records
from orchestrator.store.records import Failure

RECORDS, CELL, ROW = "records", "cell", "row/"
"""Keys of what a trial reports: its job's records at the end; before that a cell and, under ``row/``, its last row."""

_log = logging.getLogger(__name__)


class PlanSearch(Searcher):
    """Suggests a ready job as a trial's config, nothing while none is ready, and ends the wave when none can come.

    Args:
        run: whose queue it hands out and to whom it reports.
        which: the lane of this wave.
    """

    def __init__(self, run: Run, which: Lane) -> None:
        super().__init__(metric=None, mode=None)
        self._run, self._lane = run, which
        self.jobs: dict[str, Job] = {}

    def suggest(self, trial_id: str) -> Any:
        """A ready job; None while one may still become ready; ``FINISHED`` when this wave can do no more."""
        job = self._run.take(self._lane)
        if job is None:
            return None if self.jobs else Searcher.FINISHED
        self.jobs[trial_id] = job
        resources = self._run.resources.of(job.stage)
        settings = {"resources": resources.model_dump(mode="json"), "every_epoch": is_followed(job)}
        return {"job": pack_job(job), **settings}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """File the job's records; ``Progress`` is told why a job has none, unless it was stopped."""
        if error:
            return
        assert result is not None
        job = self.jobs.pop(trial_id)
        if RECORDS in result:
            self._run.finish(job, unpack_records(result[RECORDS]))
        else:
            self._run.stopped(job)

    def save(self, checkpoint_path: str) -> None:
        """Nothing to save: the ledger decides what is left."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing to restore."""

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles what it is given for a restore that is never made; threads and files would not survive it.
        return {}


class Heeding(FIFOScheduler):
    """Tune's default scheduler, which also passes what cells report to the run, and stops those that it says.

    Args:
        run: whom to tell.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._run = run

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """A cell has finished an epoch: ``STOP`` where it is a tuning's trial that is behind others."""
        row = {key.removeprefix(ROW): value for key, value in result.items() if key.startswith(ROW)}
        if RECORDS in result or not row:
            return FIFOScheduler.CONTINUE
        return FIFOScheduler.STOP if self._run.progress(result[CELL], row) else FIFOScheduler.CONTINUE

    def __getstate__(self) -> dict[str, Any]:
        # As for PlanSearch.
        return {}


class Progress(Callback):
    """Passes what Tune sees to the run, and keeps the tasks beside it going.

    Args:
        search: knows which trial is which job.
        run: whom to tell.
        tasks: polled at every step of Tune's loop; None if none may run beside this wave.
    """

    def __init__(self, search: PlanSearch, run: Run, tasks: TaskPool | None) -> None:
        self._search, self._run, self._tasks = search, run, tasks

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Start and collect attack and analysis tasks where there is room beside the trials."""
        if self._tasks:
            self._tasks.poll()
        self._run.tick()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial has a process."""
        if trial.trial_id in self._search.jobs:
            self._run.started(self._search.jobs[trial.trial_id])

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial's process died, and Tune starts it again."""
        name = self._search.jobs[trial.trial_id].cells[0].name
        _log.warning("the worker of %s died; another takes it up where it was last saved", name)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial has used up its restarts."""
        failure = Failure(
            kind="WorkerLost",
            message="the worker died, more often than it is retried",
            traceback=Path(trial.error_file).read_text(),
            retryable=True,
        )
        self._run.lost(self._search.jobs.pop(trial.trial_id), failure)

    def __getstate__(self) -> dict[str, Any]:
        # As for PlanSearch.
        return {}

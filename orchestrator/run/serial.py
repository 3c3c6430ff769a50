"""The executor without Ray: every job in this process, one after the other. For tests and debugging."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.plan.cells import Cell
from orchestrator.run.driver import Run
from orchestrator.run.queue import Lane
from orchestrator.run.trial import telling_contexts
from orchestrator.run.tuning import is_followed
from orchestrator.study.resources import StageResources
from trainables.errors import InputError


def require_one_worker(resources: StageResources) -> None:
    """Refuse cells that several workers train together: one process would file something else under their ids.

    Raises:
        InputError: some stage asks for more than one worker.
    """
    for stage in ("train", "adapt"):
        if (workers := resources.of(stage).workers) > 1:
            raise InputError(
                "the serial executor is one process",
                where=f"resources.{stage}.workers",
                value=workers,
                fix="leave out --executor serial, or ask for one worker",
            )


class StoppedEarly(BaseException):
    """A trial is behind others. No ``Exception``: a cell that is stopped has not failed."""


def run_serially(run: Run) -> None:
    """Run every job of the queue here; results equal those of Ray."""

    def report(cell: Cell, row: Mapping[str, float]) -> None:
        if run.progress(cell.id, row):
            raise StoppedEarly

    while job := run.take(*Lane):
        run.started(job)
        contexts = telling_contexts(run.place, run.resources.of(job.stage), report, every_epoch=is_followed(job))
        try:
            records = run.work(job, run.place, contexts)
        except StoppedEarly:
            run.stopped(job)
        else:
            run.finish(job, records)

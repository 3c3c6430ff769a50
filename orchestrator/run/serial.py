"""The executor without Ray: every job in this process, one after the other. For tests and debugging."""

from __future__ import annotations

from orchestrator.run.context import local_contexts
from orchestrator.run.driver import Run
from orchestrator.run.queue import Lane
from orchestrator.study.model import StageResources
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


def run_serially(run: Run) -> None:
    """Run every job of the queue here; results equal those of Ray."""
    while job := run.queue.take(*Lane):
        run.started(job)
        resources = run.resources.of(job.stage)
        contexts = local_contexts(run.place, resources, lambda cell, row: run.progress(cell.id, row))
        run.finish(job, run.work(job, run.place, contexts))

"""The executor without Ray: every job in this process, one after the other. For tests and debugging."""

from __future__ import annotations

from orchestrator.run.context import local_contexts
from orchestrator.run.driver import Run
from orchestrator.run.queue import Lane


def run_serially(run: Run) -> None:
    """Run every job of the queue here; results equal those of Ray."""
    while job := run.queue.take(*Lane):
        run.started(job)
        resources = run.resources.of(job.stage)
        contexts = local_contexts(run.place, resources, lambda cell, row: run.progress(cell.id, row))
        run.finish(job, run.work(job, run.place, contexts))

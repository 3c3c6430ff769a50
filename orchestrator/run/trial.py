"""The Tune trainable: one job in, its records out, in a process that is reused from job to job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from orchestrator.plan.cells import Cell
from orchestrator.run.context import Report, local_contexts
from orchestrator.run.execute import Work
from orchestrator.run.place import Place
from orchestrator.run.wire import pack_records, unpack_job
from orchestrator.study.resources import Resources
from trainables.context import LocalContext


def trial(config: dict[str, Any], *, place: Place, work: Work) -> None:
    """Run the job in ``config`` and report its records; Tune ends the thread in a report where the job is stopped."""
    from ray import tune

    def report(cell: Cell, row: Mapping[str, float]) -> None:
        tune.report({"cell": cell.id, "row": dict(row)})

    resources = Resources.model_validate(config["resources"])
    contexts = telling_contexts(place, resources, report, every_epoch=config["every_epoch"])
    tune.report({"records": pack_records(work(unpack_job(config["job"]), place, contexts))})


def telling_contexts(
    place: Place, resources: Resources, report: Report, *, every_epoch: bool
) -> Callable[[Cell], LocalContext]:
    """Contexts for cells that run in this process alone, and tell of every epoch, or now and then."""
    contexts = local_contexts(place, resources, report)

    def context_for(cell: Cell) -> LocalContext:
        context = contexts(cell)
        context.on_report = partial(report, cell)
        return context

    return context_for if every_epoch else contexts

"""The Tune trainable: one job in, its records out, in a process that is reused from job to job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.plan.cells import Cell
from orchestrator.run.context import local_contexts
from orchestrator.run.execute import Work
from orchestrator.run.place import Place
from orchestrator.run.wire import pack_records, unpack_job
from orchestrator.study.model import Resources


def trial(config: dict[str, Any], *, place: Place, work: Work) -> None:
    """Run the job in ``config`` and report its records."""
    from ray import tune

    def report(cell: Cell, row: Mapping[str, float]) -> None:
        tune.report({"cell": cell.id, "row": dict(row)})

    resources = Resources.model_validate(config["resources"])
    records = work(unpack_job(config["job"]), place, local_contexts(place, resources, report))
    tune.report({"records": pack_records(records)})

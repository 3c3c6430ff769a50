"""Jobs and records as text, for the border between processes: Tune keeps a trial's config and result as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from orchestrator.plan.cells import Cell, Stage, Tags
from orchestrator.plan.jobs import Job
from orchestrator.store.records import Record
from trainables.writing import plain


def pack_job(job: Job) -> str:
    """A job as JSON."""
    return json.dumps([_cell_fields(cell) for cell in job.cells], separators=(",", ":"))


def unpack_job(text: str) -> Job:
    """The inverse of ``pack_job``; the job's needs are done by then, and left out."""
    return Job(tuple(_cell(fields) for fields in json.loads(text)), frozenset())


def pack_records(records: Sequence[Record]) -> str:
    """Records as JSON."""
    return json.dumps([record.to_json() for record in records], separators=(",", ":"), default=plain)


def unpack_records(text: str) -> list[Record]:
    """The inverse of ``pack_records``."""
    return [Record.from_json(value) for value in json.loads(text)]


def _cell_fields(cell: Cell) -> dict[str, Any]:
    return {
        "stage": cell.stage.value,
        "method": cell.method,
        "params": cell.params,
        "tags": asdict(cell.tags),
        "needs": cell.needs,
        "data": cell.data,
        "version": cell.version,
    }


def _cell(fields: dict[str, Any]) -> Cell:
    return Cell(
        **{
            **fields,
            "stage": Stage(fields["stage"]),
            "tags": Tags(**fields["tags"]),
            "needs": tuple(fields["needs"]),
        }
    )

"""What tunings have chosen, from their records: with this a plan is resolved."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.plan.cells import CellId
from orchestrator.plan.tuned import Parameters
from orchestrator.store.records import Record, Status


def chosen(records: Iterable[Record]) -> dict[CellId, Parameters]:
    """Parameters by the id of the tuning that chose them; records of other stages say nothing."""
    return {record.cell: record.chosen for record in records if record.chosen and record.status is Status.DONE}

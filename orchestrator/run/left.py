"""What is left of a plan: its cells minus what the ledger holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.plan.cells import Cell, CellId
from orchestrator.plan.graph import Plan
from orchestrator.store.records import Record, Status


def outstanding(
    plan: Plan, records: Mapping[CellId, Record], again: Callable[[Record], bool] | None = None
) -> tuple[Plan, Mapping[CellId, CellId]]:
    """What is left to run, and what cannot run.

    Args:
        again: whether a cell with this record of a failure is run again; if not given, where that may help.

    Returns:
        The cells to run, and each blocked cell with the parent that blocks it.
    """
    todo: dict[CellId, Cell] = {}
    blocked: dict[CellId, CellId] = {}
    for cell in plan:
        record = records.get(cell.id)
        if record and record.status is Status.DONE:
            continue
        broken = next(
            (parent for parent in cell.needs if parent in blocked or _stays_failed(parent, todo, records)), None
        )
        if broken is not None:
            blocked[cell.id] = broken
        elif record is None or record.status is not Status.FAILED or (again or may_pass)(record):
            todo[cell.id] = cell
    return Plan(plan.study, todo), blocked


def with_lost_models(plan: Plan, todo: Plan, whole: Callable[[CellId], bool]) -> Plan:
    """``todo``, and the models that it needs and whose files are gone, though the ledger holds them as done."""
    chosen = set(todo.cells)
    for cell in reversed(list(plan)):
        if cell.id in chosen:
            chosen.update(parent for parent in cell.needs if parent not in chosen and not whole(parent))
    return Plan(plan.study, {cell.id: cell for cell in plan if cell.id in chosen})


def _stays_failed(cell: CellId, todo: Mapping[CellId, Cell], records: Mapping[CellId, Record]) -> bool:
    record = records.get(cell)
    return cell not in todo and record is not None and record.status is Status.FAILED


def may_pass(record: Record) -> bool:
    """Whether running a failed cell again may help: its worker was lost."""
    return record.failure is not None and record.failure.retryable

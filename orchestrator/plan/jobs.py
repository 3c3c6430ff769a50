"""Cells that run together: a model and everything that is scored while it is still on the device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.plan.cells import Cell, CellId, Stage
from orchestrator.plan.graph import Plan


@dataclass(frozen=True, slots=True)
class Job:
    """One unit of scheduling.

    Attributes:
        cells: what it runs, in order: a model's cell and the score and validate cells that read it; or those of a
            model made before; or one attack or analysis.
        needs: cells outside the job, still pending, that must be done before it starts.
    """

    cells: tuple[Cell, ...]
    needs: frozenset[CellId]

    @property
    def id(self) -> CellId:
        """The first cell's id names the job."""
        return self.cells[0].id

    @property
    def stage(self) -> Stage:
        """Of the first cell."""
        return self.cells[0].stage


def jobs(pending: Plan) -> tuple[Job, ...]:
    """The pending cells in jobs, in plan order; every cell is in exactly one job."""
    return tuple(_job(group, pending) for group in _groups(pending))


def _groups(pending: Plan) -> Iterator[list[Cell]]:
    grouped: dict[CellId, list[Cell]] = {}
    for cell in pending:
        key = cell.needs[0] if cell.stage in (Stage.VALIDATE, Stage.SCORE) else cell.id
        grouped.setdefault(key, []).append(cell)
    yield from grouped.values()


def _job(cells: list[Cell], pending: Plan) -> Job:
    own = {cell.id for cell in cells}
    outside = {parent for cell in cells for parent in cell.needs if parent not in own and parent in pending.cells}
    return Job(tuple(cells), frozenset(outside))

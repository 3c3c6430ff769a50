"""The plan: all cells of a study as a graph, and what is left of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from orchestrator.plan.cells import Cell, CellId, Stage, combine


@dataclass(frozen=True)
class Plan:
    """Cells by id, every cell after the cells it needs.

    Args:
        study: the study's name.
        cells: in an order in which they could run one by one.
    """

    study: str
    cells: Mapping[CellId, Cell]

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.cells.values())

    @cached_property
    def hash(self) -> str:
        """Digest of all cell ids: two studies with one hash ask for the same work."""
        return combine(self.cells)

    @cached_property
    def children(self) -> Mapping[CellId, tuple[CellId, ...]]:
        """The cells that read a cell's result."""
        found: defaultdict[CellId, list[CellId]] = defaultdict(list)
        for cell in self:
            for parent in cell.needs:
                found[parent].append(cell.id)
        return {parent: tuple(children) for parent, children in found.items()}

    def descendants(self, cell: CellId) -> tuple[CellId, ...]:
        """Every cell that cannot run without this one."""
        found: dict[CellId, None] = {}
        queue = list(self.children.get(cell, ()))
        while queue:
            current = queue.pop()
            if current not in found:
                found[current] = None
                queue.extend(self.children.get(current, ()))
        return tuple(found)

    def stages(self) -> Mapping[Stage, int]:
        """How many cells each stage has."""
        counts = Counter(cell.stage for cell in self)
        return {stage: counts[stage] for stage in Stage if counts[stage]}


def plan_of(study: str, cells: Iterable[Cell]) -> Plan:
    """The plan of these cells; equal cells (one id) become one."""
    unique: dict[CellId, Cell] = {}
    for cell in cells:
        unique.setdefault(cell.id, cell)
    return Plan(study, unique)


def pending(plan: Plan, done: Iterable[CellId]) -> Plan:
    """The cells that are not done."""
    finished = frozenset(done)
    return Plan(plan.study, {cell.id: cell for cell in plan if cell.id not in finished})


def select(plan: Plan, patterns: Iterable[str]) -> Plan:
    """The cells whose name matches a shell pattern (``adapt/*dann*``), and every cell they need."""
    wanted = tuple(patterns)
    if not wanted:
        return plan
    chosen = {cell.id for cell in plan if any(fnmatchcase(cell.name, pattern) for pattern in wanted)}
    for cell in reversed(list(plan)):
        if cell.id in chosen:
            chosen.update(cell.needs)
    return Plan(plan.study, {cell.id: cell for cell in plan if cell.id in chosen})

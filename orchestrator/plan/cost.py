"""How long the rest of a plan will take, from cells that are done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from orchestrator.plan.cells import Cell, Stage
from orchestrator.plan.graph import Plan
from orchestrator.plan.tuned import settings

Kind = tuple[Stage, str, str]
"""Cells of one kind cost about the same: stage, method, detector."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StageCost:
    """What is left of one stage.

    Attributes:
        cells, done: of the stage.
        seconds_left: of work in the cells that are not done; None where no such cell has been seen.
    """

    stage: Stage
    cells: int
    done: int
    seconds_left: float | None


def kind(cell: Cell) -> Kind:
    """The kind a cell's cost is estimated by."""
    return cell.stage, cell.method, cell.tags.detector


def costs(plan: Plan, pending: Plan, past: Iterable[tuple[Kind, float]]) -> tuple[StageCost, ...]:
    """Work left by stage: a pending cell costs the median of past cells of its kind, else of its stage.

    A tuning costs its trials, and the cell that waits for it nothing: it is one of them.

    Args:
        past: kind and seconds of finished cells, of any study.
    """
    by_kind, by_stage = _medians(past)
    found = []
    for stage, cells in plan.stages().items():
        left = [cell for cell in pending if cell.stage is stage]
        guesses = [_guess(cell, plan, by_kind, by_stage) for cell in left]
        known = [guess for guess in guesses if guess is not None]
        found.append(StageCost(stage, cells, cells - len(left), sum(known) if len(known) == len(left) else None))
    return tuple(found)


def _guess(cell: Cell, plan: Plan, by_kind: Mapping[Kind, float], by_stage: Mapping[Stage, float]) -> float | None:
    if any(parent in plan.cells and plan.cells[parent].stage is Stage.TUNE for parent in cell.needs):
        return 0.0
    stage, method, detector = kind(cell)
    trials = 1
    if stage is Stage.TUNE:
        stage, trials = Stage(str(cell.params["stage"])), settings(cell)["trials"]
    each = by_kind.get((stage, method, detector), by_stage.get(stage))
    return None if each is None else each * trials


def _medians(past: Iterable[tuple[Kind, float]]) -> tuple[Mapping[Kind, float], Mapping[Stage, float]]:
    by_kind: defaultdict[Kind, list[float]] = defaultdict(list)
    by_stage: defaultdict[Stage, list[float]] = defaultdict(list)
    for seen, seconds in past:
        by_kind[seen].append(seconds)
        by_stage[seen[0]].append(seconds)
    return _median_of(by_kind), _median_of(by_stage)


def _median_of(groups: Mapping[T, list[float]]) -> dict[T, float]:
    return {key: median(values) for key, values in groups.items()}

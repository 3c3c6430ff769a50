"""How a study stands: what ``check`` and ``status`` tell."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.plan.cells import Stage
from orchestrator.store.records import Record
from orchestrator.store.state import Running


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was found of a study that can run.

    Attributes:
        lines: for a person to read.
    """

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StageStatus:
    """Cells of one stage, by how they stand."""

    stage: Stage
    cells: int
    done: int
    failed: int
    blocked: int


@dataclass(frozen=True, slots=True)
class StatusReport:
    """How a study stands, whether a run is going on or not.

    Attributes:
        phase: ``running``, ``interrupted`` (the driver is gone), ``finished``, or ``idle`` where none ever ran.
        stages: cells of each stage.
        running: cells that a worker is at now, with their latest epoch and metrics.
        troubles: failed and blocked cells with the reason, failures first.
    """

    study: str
    phase: str
    stages: tuple[StageStatus, ...]
    running: tuple[Running, ...]
    troubles: tuple[Record, ...]

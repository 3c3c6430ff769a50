"""How a study stands: what ``check`` and ``status`` tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.plan.cells import Stage
from orchestrator.plan.graph import Plan
from orchestrator.store.records import Record, Status
from orchestrator.store.state import Running, RunState


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


def standing(plan: Plan, records: Sequence[Record], state: RunState | None) -> StatusReport:
    """How a study stands.

    Args:
        records: what the ledger holds of the plan.
        state: of its last run.
    """
    count = Counter((Stage(record.stage), record.status) for record in records)
    stages = tuple(
        StageStatus(stage, cells, *(count[stage, status] for status in Status))
        for stage, cells in plan.stages().items()
    )
    troubles = [record for record in records if record.status is not Status.DONE]
    return StatusReport(
        study=plan.study,
        phase=state.phase.value if state else "idle",
        stages=stages,
        running=state.running if state else (),
        troubles=tuple(sorted(troubles, key=lambda record: record.status is Status.BLOCKED)),
    )

"""What a cell returned: small, typed, the same whether it ran in this process or on another node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from orchestrator.plan.cells import Cell, CellId, Json, Reading

IN_PARTS = "accumulate"
"""Among a model's figures where memory ran out, and nowhere else: the parts that its batches were taken in."""


class Status(StrEnum):
    """How a cell ended."""

    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a cell has no result.

    Attributes:
        kind: the exception's class name; ``blocked`` for a cell whose parent failed.
        message: the exception's text, or the name of the cell that blocks this one.
        traceback: empty for a blocked cell.
        retryable: whether running it again may help (a lost worker, not a bug).
    """

    kind: str
    message: str
    traceback: str = ""
    retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One cell's entry in the ledger.

    Attributes:
        cell: its id.
        name, stage, method, tags, params, needs, reads, data, version: the cell itself, so that reports and MLflow can
            be rebuilt from the ledger alone.
        metrics: final figures.
        curves: one row an epoch.
        chosen: the parameters that a tuning has chosen, every default written out; empty for other cells.
        files: artifacts in the cell's folder, by name.
        images: how many passed through the model.
        seconds: of pure work in the cell (training, scoring, attack), without queueing and start-up.
        started: Unix time.
        attempt: 1, or more after retries.
        node: host name; process: pid.
        provenance: versions, git commit, Ray job id.
    """

    cell: CellId
    name: str
    stage: str
    method: str
    status: Status
    tags: Mapping[str, Any]
    params: Mapping[str, Any]
    needs: tuple[CellId, ...] = ()
    reads: tuple[Reading, ...] = ()
    data: str | None = None
    version: int = 1
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: tuple[Mapping[str, float], ...] = ()
    chosen: Mapping[str, Json] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    images: int = 0
    seconds: float = 0.0
    started: float = 0.0
    attempt: int = 1
    node: str = ""
    process: int = 0
    provenance: Mapping[str, str] = field(default_factory=dict)
    failure: Failure | None = None

    @classmethod
    def of(cls, cell: Cell, status: Status, **result: Any) -> Record:
        """How this cell ended.

        Args:
            result: the fields that a run adds: ``metrics``, ``curves``, ``files``, ``seconds``, ``failure``, …
        """
        return cls(
            cell=cell.id,
            name=cell.name,
            stage=cell.stage.value,
            method=cell.method,
            status=status,
            tags=asdict(cell.tags),
            params=cell.params,
            needs=cell.needs,
            reads=cell.reads,
            data=cell.data,
            version=cell.version,
            **result,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Record:
        """The inverse of ``to_json``; also of records from before cells told what they read."""
        fields = dict(value)
        failure = fields.pop("failure", None)
        reads = (Reading(**{**reading, "splits": tuple(reading["splits"])}) for reading in fields.get("reads", ()))
        return cls(
            **{
                **fields,
                "status": Status(fields["status"]),
                "needs": tuple(fields["needs"]),
                "reads": tuple(reads),
                "curves": tuple(fields["curves"]),
                "files": tuple(fields["files"]),
                "failure": Failure(**failure) if failure else None,
            }
        )

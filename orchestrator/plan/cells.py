"""A cell, and the content id that says which cells are the same work."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType, TypeAlias, Union

Json: TypeAlias = Union[bool, int, float, str, list["Json"], dict[str, "Json"], None]  # noqa: UP007 (recursive)
CellId = NewType("CellId", str)
Digest = NewType("Digest", str)


class Stage(StrEnum):
    """What a cell does; the order is the order in which a campaign reaches them."""

    AUDIT = "audit"
    TUNE = "tune"
    TRAIN = "train"
    ADAPT = "adapt"
    VALIDATE = "validate"
    SCORE = "score"
    ATTACK = "attack"
    ANALYSE = "analyse"

    @property
    def makes_model(self) -> bool:
        """Whether the stage leaves a checkpoint that other cells read."""
        return self in (Stage.TRAIN, Stage.ADAPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """Where a cell stands in the grid, in words: columns of every table and tags of its MLflow run.

    Attributes:
        detector: the detector's name in the study.
        source: the generator the detector was trained on.
        target: the generator it is adapted to; equal to ``source`` for a source detector.
        adaptation: the adaptation's name; ``source_only`` for a source detector.
        seed: of the training run.
        test: the generator whose test images are read; empty for train and adapt cells.
        variant: the corruption, attack or analysis by name; empty where there is none.
        selection: the rule that chose the checkpoint.
        sequence: the sequence of generators that is learnt one after the other; empty in the grid.
    """

    detector: str
    source: str
    target: str
    adaptation: str
    seed: int
    test: str = ""
    variant: str = ""
    selection: str = "source_val"
    sequence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Images that a cell reads, for people: a data set of its MLflow run.

    Attributes:
        role: what they are to the cell: ``source``, ``target``, ``test``; ``all`` for the audit.
        fakes, reals: how many images of each fake generator and of each real source.
        splits: which of their images.
        digest: of their contents, and of which is which.
    """

    role: str
    fakes: Mapping[str, int]
    reals: Mapping[str, int]
    splits: tuple[str, ...]
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cell:
    """One unit of work: a stage, its resolved parameters, and the cells whose results it reads.

    Attributes:
        method: the member that does the work, by registry name.
        params: everything that determines the result, defaults written out.
        needs: ids of the cells it reads, the model first.
        reads: the images it reads; words only, not part of the id.
        data: one digest of all of them.
        version: of the method, from the registry.
        tags: its place in the grid; words only, not part of the id.
        id: hash of stage, method, params, needs, data and version; cells with one id are equal.
    """

    stage: Stage
    method: str
    params: Mapping[str, Json]
    tags: Tags
    needs: tuple[CellId, ...] = ()
    reads: tuple[Reading, ...] = ()
    data: Digest | None = None
    version: int = 1
    id: CellId = field(init=False)

    def __post_init__(self) -> None:
        content = [self.stage.value, self.method, self.params, self.needs, self.data, self.version]
        object.__setattr__(self, "id", CellId(digest(content)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def name(self) -> str:
        """A readable path, for ``--only`` and logs: ``adapt/residual_cnn/tconv/nearest/dann/seed0``."""
        if self.stage is Stage.AUDIT:
            return self.stage.value
        t = self.tags
        parts = [self.stage.value, t.detector, t.source]
        if not (self.stage is Stage.TRAIN or (self.stage is Stage.TUNE and t.target == t.source)):
            parts += [t.target, t.sequence, t.adaptation]
        parts += [f"seed{t.seed}", t.test, t.variant]
        return "/".join(p for p in parts if p)


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: object) -> str:
    """20 hex digits (80 bits) of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:20]


def combine(digests: Iterable[str]) -> Digest:
    """One digest of several, whatever their order."""
    return Digest(digest(sorted(digests)))

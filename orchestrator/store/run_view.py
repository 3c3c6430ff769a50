"""A record in MLflow's words: tags, parameters and points of curves, as plain values."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.plan.cells import Cell, Reading, Stage, Tags
from orchestrator.store.artifacts import Artifacts
from orchestrator.store.records import Record, Status

_LINKS = {"git_commit": "git", "ray_job_id": "ray_job"}
"""Tags of their own, and the part of a record's provenance each shows; the rest are versions."""
_MOST_NAMED = 4
_ENDED = {"complete": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
_PARAMETER = "parameter/"


class Point(NamedTuple):
    """One value of a metric; ``time`` in Unix seconds."""

    key: str
    value: float
    time: float
    step: int


@dataclass(frozen=True, slots=True)
class TrialRun:
    """One trial of a tuning.

    Attributes:
        key: tells it from every other trial of a study.
        mark: tells it from what another attempt at the same tuning did under its number.
        name, tags, params, points: of its run.
        status: the run's, in MLflow's words.
        started, ended: Unix time.
    """

    key: str
    mark: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    points: Sequence[Point]
    status: str
    started: float
    ended: float


def mark(record: Record) -> str:
    """Tells two records of one cell apart."""
    return f"{record.status.value}:{record.attempt}:{record.started:.6f}"


def marks(records: Iterable[Record]) -> str:
    """Tells two states of a ledger apart."""
    lines = sorted(f"{record.cell} {mark(record)}" for record in records)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def trial_key(tags: Mapping[str, str]) -> str:
    """Which trial of which tuning a run shows, from its tags."""
    return f"{tags['tuning']}/{tags['trial']}"


def ended(record: Record) -> float:
    """Unix time at which the work was done."""
    return record.started + record.seconds


def identity(cell: Cell | Record, tags: Tags | None = None) -> dict[str, str]:
    """Tags that a cell's run has from its first moment.

    Args:
        tags: its place in the grid; the cell's own if not given.
    """
    return _filled(
        {
            "cell_id": cell.id if isinstance(cell, Cell) else cell.cell,
            "stage": str(cell.stage),
            "method": cell.method,
            "data_digest": cell.data or "",
            **_place(cell, tags),
        }
    )


def outcome(record: Record, artifacts: Artifacts) -> dict[str, str]:
    """Tags that tell how a cell ended."""
    versions = {key: value for key, value in record.provenance.items() if key not in _LINKS.values()}
    failure = record.failure
    return _filled(
        {
            "status": record.status.value,
            "record": mark(record),
            "attempt": record.attempt,
            "node": record.node,
            "folder": artifacts.folder(record.cell).as_uri() if record.files else "",
            "versions": json.dumps(versions, sort_keys=True) if versions else "",
            "failure": failure.kind if failure else "",
            "reason": failure.message if failure else "",
            **{tag: record.provenance.get(key, "") for tag, key in _LINKS.items()},
        }
    )


def images_name(reading: Reading) -> str:
    """What a cell reads, in words: ``tconv vs compact, phone: train+val``; of many generators how many."""
    fakes, reals = (_listed(names, kind) for names, kind in ((reading.fakes, "fakes"), (reading.reals, "reals")))
    return f"{fakes} vs {reals}: {'+'.join(reading.splits)}"


def images_counts(reading: Reading) -> str:
    """How many images of what, as JSON."""
    return json.dumps({"fake": reading.fakes, "real": reading.reals})


def images_source(folders: Sequence[Path]) -> str:
    """Where images lie, in the form of MLflow's sources of type ``local``: the folder above them all, and each."""
    above = os.path.commonpath(folders) if folders else ""
    return json.dumps({"uri": above, "folders": [str(folder) for folder in folders]})


def parameters(params: Mapping[str, Any]) -> dict[str, str]:
    """Parameters of a cell, nested ones under dotted names: ``recipe.epochs``."""
    return dict(_flat(params, ""))


def parameters_of(record: Record) -> dict[str, str]:
    """Those of its cell; what a tuning has chosen stands under ``chosen``."""
    return parameters({**record.params, "chosen": record.chosen} if record.chosen else record.params)


def curve(row: Mapping[str, float], step: int, time: float) -> list[Point]:
    """One epoch's figures. Their names start with ``epoch/``, so that a last epoch never hides a final figure."""
    return [Point(f"epoch/{key}", float(value), time, step) for key, value in row.items() if key != "epoch"]


def step_of(row: Mapping[str, float], count: int) -> int:
    """The epoch of a row: what it says, or the one after ``count`` others."""
    return int(row.get("epoch", count + 1))


def points(record: Record, known: Collection[int] = ()) -> list[Point]:
    """All figures of a record.

    Args:
        known: epochs that are told already.
    """
    found: list[Point] = []
    for index, row in enumerate(record.curves):
        step = step_of(row, index)
        if step not in known:
            # When each epoch ended is not on record; spread evenly, the chart is right in shape and the same each time.
            found += curve(row, step, record.started + record.seconds * (index + 1) / len(record.curves))
    if record.status is Status.BLOCKED:
        return found
    final = {**record.metrics, "seconds": record.seconds, "images": record.images}
    return found + [Point(key, float(value), ended(record), 0) for key, value in final.items()]


def trial_runs(record: Record, artifacts: Artifacts, tags: Tags | None = None) -> list[TrialRun]:
    """The trials of a tuning, by number; none where its table is not there.

    Args:
        tags: the tuning's place in the grid; the record's own if not given.
    """
    from orchestrator.store.tables import TRIALS_FILE, read_rows  # pandas: only where something was tuned

    path = artifacts.folder(record.cell) / TRIALS_FILE
    if record.stage != Stage.TUNE or not path.is_file():
        return []
    rows = read_rows(path).sort_values("number").to_dict("records")
    return [_trial_run(record, {str(key): value for key, value in row.items()}, _place(record, tags)) for row in rows]


def _trial_run(record: Record, row: Mapping[str, Any], place: Mapping[str, Any]) -> TrialRun:
    shown = f"{row['state']}:{row['cell']}:{row['started']:.6f}"
    told = {"tuning": record.cell, "trial": row["number"], **{key: row[key] for key in ("state", "cell", "reason")}}
    tags = _filled({"stage": "trial", "method": record.method, **place, **told, "record": shown})
    values = {key.removeprefix(_PARAMETER): text for key, text in row.items() if key.startswith(_PARAMETER)}
    ended = row["started"] + row["seconds"]
    figures = {key: float(row[key]) for key in ("value", "epochs", "seconds")}
    return TrialRun(
        key=trial_key(tags),
        mark=shown,
        name=f"{record.name}/trial{row['number']}",
        tags=tags,
        params=parameters({name: json.loads(text) for name, text in values.items() if isinstance(text, str)}),
        points=[Point(key, value, ended, 0) for key, value in figures.items() if math.isfinite(value)],
        status=_ENDED[row["state"]],
        started=row["started"],
        ended=ended,
    )


def _place(cell: Cell | Record, tags: Tags | None) -> Mapping[str, Any]:
    if tags:
        return asdict(tags)
    return asdict(cell.tags) if isinstance(cell, Cell) else cell.tags


def _flat(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, each in value.items():
        if isinstance(each, Mapping) and each:
            yield from _flat(each, f"{prefix}{key}.")
        else:
            # Generators may be named with what MLflow takes in no key.
            name = re.sub(r"[^\w./: -]", "_", f"{prefix}{key}")
            yield name, each if isinstance(each, str) else json.dumps(each)


def _listed(names: Collection[str], kind: str) -> str:
    return ", ".join(names) if len(names) <= _MOST_NAMED else f"{len(names)} {kind}"


def _filled(tags: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in tags.items() if value not in ("", None)}

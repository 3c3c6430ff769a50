"""The tables of the store, their columns declared once.

``scores.parquet`` in a score cell's folder has a row an image; ``rows.parquet`` in an attack cell's folder a row an
image and budget, in the audit cell's a row an image and shortcut baseline, in that of a detector from outside a row an
image; the frames of a whole study are made from records, one row a cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from orchestrator.plan.cells import CellId, Stage, Tags
from orchestrator.store.records import Record, Status
from trainables.writing import write_bytes

SCORES_FILE, ROWS_FILE, TRIALS_FILE = "scores.parquet", "rows.parquet", "trials.parquet"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        name: as in the file.
        type: as in the file.
        meaning: with unit and range.
    """

    name: str
    type: pa.DataType
    meaning: str


SCORES = (
    Column("image", pa.string(), "content digest of the image"),
    Column("label", pa.int8(), "1 = fake"),
    Column("generator", pa.string(), "the image's generator, or the source of a real image"),
    Column("score", pa.float32(), "P(fake), 0 to 1"),
)

ATTACKS = (
    Column("image", pa.string(), "content digest of the image"),
    Column("label", pa.int8(), "1 = fake"),
    Column("epsilon", pa.float32(), "budget in pixel units, 0 to 255"),
    Column("clean_score", pa.float32(), "P(fake) of the image as it is"),
    Column("adversarial_score", pa.float32(), "P(fake) of the attacked image"),
    Column("linf", pa.float32(), "largest change of a pixel, in pixel units"),
)
"""What every attack's rows have; an attack may add columns of its own."""

AUDITS = (
    Column("image", pa.string(), "content digest of the image"),
    Column("label", pa.int8(), "1 = fake"),
    Column("generator", pa.string(), "the image's generator, or the source of a real image"),
    Column("group", pa.string(), "images of one group are in one fold, and are resampled together"),
    Column("against", pa.string(), "the fake generator whose shortcut baseline scored the image"),
    Column("fold", pa.int8(), "the fold that the image was held out in"),
    Column("score", pa.float64(), "P(fake) by trivial facts alone, 0 to 1"),
)
"""The rows of an audit: one an image and fake generator that it was measured for."""

LOOKED_UP = (
    Column("image", pa.string(), "content digest of the image"),
    Column("score", pa.float64(), "P(fake) by a detector from outside, 0 to 1"),
)
"""What a detector that is known by its scores alone has in place of a checkpoint."""

VALIDATIONS = (
    Column("epoch", pa.int64(), "from 1; the last row is the detector as it was handed back"),
    Column("kept", pa.bool_(), "whether the row is that of the detector as it was handed back"),
    Column("target_accuracy", pa.float64(), "on the watched test images of the target, 0 to 1"),
    Column("target_auroc", pa.float64(), "on the same images, 0 to 1; NaN where they are of one class"),
)
"""The rows of a validation: one an epoch. Then a column a rule, under its name: larger is better, NaN: undefined."""

TRIALS = (
    Column("number", pa.int64(), "of the trial, from 0 in the order in which they were asked for"),
    Column("state", pa.string(), "complete, stopped (early), or failed"),
    Column("value", pa.float64(), "the objective; of a stopped trial its last, missing where it failed"),
    Column("epochs", pa.int64(), "that were trained"),
    Column("seconds", pa.float64(), "of work"),
    Column("started", pa.float64(), "Unix time"),
    Column("cell", pa.string(), "id of the cell that trained it"),
    Column("reason", pa.string(), "why it failed; empty otherwise"),
)
"""The rows of a tuning: one a trial. Then a column a parameter, under ``parameter/`` and its dotted name, as JSON."""

TAGS = tuple(field.name for field in fields(Tags))
RESULTS = (*TAGS, "cell", "model")
"""The columns of ``results_frame`` before the metrics."""


def write_scores(
    path: Path,
    images: Sequence[str],
    labels: NDArray[np.int64],
    generators: Sequence[str],
    scores: NDArray[np.floating[Any]],
) -> None:
    """Write the scores of N images as ``SCORES``.

    Args:
        labels, scores: (N,).

    Raises:
        ValueError: the columns have different lengths.
    """
    columns = {"image": list(images), "label": labels, "generator": list(generators), "score": scores}
    arrays = [pa.array(columns[column.name]).cast(column.type) for column in SCORES]
    _write(path, pa.table(arrays, schema=_schema(SCORES)))


def read_scores(path: Path) -> pd.DataFrame:
    """A table of ``SCORES``, a row an image."""
    frame: pd.DataFrame = pq.read_table(path, schema=_schema(SCORES)).to_pandas()
    return frame


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column] = ()) -> None:
    """Write a table of a stage's own.

    Args:
        rows: all with the same keys.
        columns: those that must be there (``ATTACKS``), first in the file; the types of others follow from values.

    Raises:
        ValueError: a declared column is missing, or a row has other keys than the first.
    """
    names = list(rows[0]) if rows else [column.name for column in columns]
    if lacking := [column.name for column in columns if column.name not in names]:
        raise ValueError(f"the rows have no column {', '.join(lacking)}; they have {', '.join(names)}")
    if odd := next((row for row in rows if row.keys() != set(names)), None):
        raise ValueError(f"a row has other columns than the first: {sorted(odd)} against {sorted(names)}")
    types = {column.name: column.type for column in columns}
    ordered = [*types, *(name for name in names if name not in types)]
    _write(path, pa.table({name: pa.array([row[name] for row in rows], types.get(name)) for name in ordered}))


def read_rows(path: Path) -> pd.DataFrame:
    """A table written by ``write_rows``."""
    frame: pd.DataFrame = pq.read_table(path).to_pandas()
    return frame


def results_frame(records: Iterable[Record], tags: Mapping[CellId, Tags] | None = None) -> pd.DataFrame:
    """One row a finished score cell: its place in the grid, then every metric; NaN where a cell lacks one.

    Args:
        tags: the names of a plan's cells, where they should not be those of the study that ran them first.
    """
    scored = [r for r in records if r.stage == Stage.SCORE and r.status is Status.DONE]
    metrics = dict.fromkeys(name for record in scored for name in record.metrics)
    rows = [{**_tags(r, tags), "cell": r.cell, "model": r.needs[0] if r.needs else "", **r.metrics} for r in scored]
    return pd.DataFrame(rows, columns=[*RESULTS, *metrics])


def cells_frame(records: Iterable[Record], tags: Mapping[CellId, Tags] | None = None) -> pd.DataFrame:
    """One row a record, whatever its status: how it ended, what it cost, and why it failed."""
    columns = ["cell", "name", "stage", "method", "status", *TAGS, *_COST, "failure", "reason"]
    return pd.DataFrame([_cell_row(record, tags) for record in records], columns=columns)


_COST = ("seconds", "images", "started", "attempt", "node")


def _cell_row(record: Record, tags: Mapping[CellId, Tags] | None) -> dict[str, Any]:
    failure = record.failure
    return {
        **{name: getattr(record, name) for name in ("cell", "name", "stage", "method", *_COST)},
        **_tags(record, tags),
        "status": record.status.value,
        "failure": failure.kind if failure else "",
        "reason": failure.message if failure else "",
    }


def _tags(record: Record, tags: Mapping[CellId, Tags] | None) -> Mapping[str, Any]:
    if tags and record.cell in tags:
        return asdict(tags[record.cell])
    return {name: record.tags.get(name) for name in TAGS}


def _schema(columns: Sequence[Column]) -> pa.Schema:
    return pa.schema([pa.field(c.name, c.type, nullable=False, metadata={"meaning": c.meaning}) for c in columns])


def _write(path: Path, table: pa.Table) -> None:
    # Through memory: an error of the disk is then told by `atomic`, not wrapped by Arrow.
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd")
    write_bytes(path, buffer.getvalue().to_pybytes())

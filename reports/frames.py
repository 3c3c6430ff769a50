"""The results as tables: one declared list of columns each, holes left in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from orchestrator.plan.cells import Cell, CellId, Stage
from orchestrator.plan.tuned import with_parameters
from orchestrator.store.records import Record, Status
from reports.results import Model, Results, in_matrix
from reports.statistics import METRICS, Estimate, mean

Row = dict[str, Any]

INTERVAL = ("", "_low", "_high")

PLACE = ("detector", "adaptation", "source", "target", "seed")
GRID = (
    *("plan", "selection", *PLACE, "test", "variant", "in_dataset", "matrix", "cell", "status", "images"),
    *(metric + end for metric in METRICS for end in INTERVAL),
)
SUMMARY = (
    *("plan", "selection", "detector", "adaptation", "variant", "pairs", "pairs_planned", "in_dataset"),
    *(metric + end for metric in METRICS for end in INTERVAL),
    *("worst", "worst_source", "worst_target", "on_source"),
    *("drop" + end for end in INTERVAL),
)
COSTS = ("stage", "method", "cells", "done", "failed", "blocked", "seconds", "longest", "images", "images_per_second")
FAILURES = ("stage", "name", "cell", "status", "kind", "message", "traceback", "retryable", "attempt", "node")
CURVES = ("stage", *PLACE, "epoch", "metric", "value")
_STAGES = tuple(Stage)


def grid_frame(results: Results) -> pd.DataFrame:
    """One row a score cell of the plan, done or not: where it stands, its metrics and their 95 % intervals.

    The oracles' are among them, told by their ``selection``. Further metrics of the ledger follow the declared columns.
    """
    return _frame([_grid_row(results, cell) for cell in results.of(Stage.SCORE)], GRID)


def summary_frame(results: Results) -> pd.DataFrame:
    """One row a detector, method and variant: means in-dataset and over the off-diagonal pairs, and the worst pair.

    ``in_dataset`` and ``on_source`` are accuracies: of the source detectors, and of the adapted ones, on the test
    images of the generator they were trained on. ``drop`` is clean accuracy minus this variant's, over the pairs.
    """
    rows = [
        _summary_row(ours, detector, adaptation, variant)
        for detector, ours in results.alone.items()
        for variant in ("", *ours.variants)
        for adaptation in ours.adaptations
    ]
    return _frame(rows, SUMMARY)


def matrix_frame(results: Results, detector: str, adaptation: str, metric: str) -> pd.DataFrame:
    """A method's matrix: a row a train generator, a column a test generator, the mean over seeds; NaN for a hole."""
    values = {
        test: [_value(results.at(results.entry(detector, adaptation, s, test), test, metric)) for s in results.sources]
        for test in results.tests
    }
    return pd.DataFrame(values, index=pd.Index(results.sources, name="train_generator"))


def cost_frame(results: Results) -> pd.DataFrame:
    """One row a stage and method, and one for all: cells, seconds of pure work, images per second; of sequences too.

    A tuning's work is that of its trials. The best of them is a cell of the plan as well; the last row counts it once.
    """
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in sorted(results.cells, key=lambda cell: _STAGES.index(cell.stage)):
        groups.setdefault((cell.stage.value, cell.method), []).append(cell)
    rows = [_cost_row(results, stage, method, cells) for (stage, method), cells in groups.items()]
    return _frame([*rows, _cost_row(results, "all", "", results.cells, _best_trials(results))], COSTS)


def failure_frame(results: Results) -> pd.DataFrame:
    """One row a cell that failed or is blocked: why, and where it ran. Failed cells first."""
    rows = [_failure_row(cell, record) for cell, record in _recorded(results) if record.status is not Status.DONE]
    rows.sort(key=lambda row: row["status"] != Status.FAILED.value)
    return _frame(rows, FAILURES)


def curve_frame(results: Results) -> pd.DataFrame:
    """One row an epoch and metric of every model of the grid."""
    rows = [
        {"stage": cell.stage.value, **_place(cell), "epoch": row.get("epoch", i + 1), "metric": name, "value": value}
        for cell, record in _recorded(results)
        if cell.stage.makes_model and not (cell.tags.sequence or cell.tags.variant)  # a variant: part of a fusion
        for i, row in enumerate(record.curves)
        for name, value in row.items()
        if name != "epoch"
    ]
    return _frame(rows, CURVES)


def images_per_second(records: Sequence[Record]) -> float:
    """Images that passed through a model in a second of pure work; NaN where none did."""
    images, seconds = sum(record.images for record in records), sum(record.seconds for record in records)
    return images / seconds if images and seconds else float("nan")


def interval_columns(name: str, found: Estimate | None) -> Row:
    """A figure and the ends of its interval as three columns; NaN for what is not known."""
    values = (found.value, found.low, found.high) if found else (float("nan"),) * 3
    return dict(zip((name + end for end in INTERVAL), values, strict=True))


def _grid_row(results: Results, cell: Cell) -> Row:
    record = results.records.get(cell.id)
    found = results.estimates.get(cell.id, {})
    row: Row = {
        "plan": results.plan,
        "selection": cell.tags.selection,
        **_place(cell),
        "test": cell.tags.test,
        "variant": cell.tags.variant,
        "in_dataset": results.seen(cell.tags.source, cell.tags.test),
        "matrix": in_matrix(cell),
        "cell": cell.id,
        "status": record.status.value if record else "pending",
        "images": len(results.scores[cell.id]) if cell.id in results.scores else None,
    }
    for metric in METRICS:
        row |= interval_columns(metric, found.get(metric))
    return (dict(record.metrics) if record else {}) | row


def _summary_row(results: Results, detector: str, adaptation: str, variant: str) -> Row:
    row: Row = {**origin(results), "detector": detector, "adaptation": adaptation, "variant": variant}
    for metric in METRICS:
        found, row["pairs"] = results.average(detector, adaptation, results.pairs, metric, variant)
        row |= interval_columns(metric, found)
    inside, _ = results.average(detector, adaptation, results.diagonal, "accuracy", variant)
    return row | {
        "pairs_planned": len(results.pairs),
        "in_dataset": _value(inside),
        "on_source": _value(_on_source(results, detector, adaptation, variant)),
        **_worst(results, detector, adaptation, variant),
        **interval_columns("drop", _drop(results, detector, adaptation, variant)),
    }


def _on_source(results: Results, detector: str, adaptation: str, variant: str) -> Estimate | None:
    models = [results.entry(detector, adaptation, s, t) for s, t in results.pairs]
    found = [results.at(model, test, "accuracy", variant) for model in models for test in results.own(model.source)]
    known = [entry for entry in found if entry]
    return mean(known) if known else None


def _worst(results: Results, detector: str, adaptation: str, variant: str) -> Row:
    found: dict[tuple[str, str], float] = {}
    for source, target in results.pairs:
        entry = results.at(results.entry(detector, adaptation, source, target), target, "accuracy", variant)
        if entry:
            found[source, target] = entry.value
    if not found:
        return {}
    source, target = min(found, key=found.__getitem__)
    return {"worst": found[source, target], "worst_source": source, "worst_target": target}


def _drop(results: Results, detector: str, adaptation: str, variant: str) -> Estimate | None:
    if not variant:
        return None
    models: list[tuple[Model, str]] = [(results.entry(detector, adaptation, s, t), t) for s, t in results.pairs]
    drops = [results.difference((model, t, ""), (model, t, variant), "accuracy") for model, t in models]
    known = [drop for drop in drops if drop]
    return mean(known) if known else None


def _best_trials(results: Results) -> frozenset[CellId]:
    """The trials that tunings have chosen, whose work is part of their tunings'."""
    tunings = ((cell, results.records.get(cell.id)) for cell in results.of(Stage.TUNE))
    return frozenset(
        with_parameters(cell, record.chosen).id for cell, record in tunings if record is not None and record.chosen
    )


def _cost_row(
    results: Results, stage: str, method: str, cells: Sequence[Cell], counted: frozenset[CellId] = frozenset()
) -> Row:
    """The cost of some cells; the work of those that are ``counted`` is part of others'."""
    records = [results.records[cell.id] for cell in cells if cell.id in results.records]
    ended = {status: sum(r.status is status for r in records) for status in Status}
    worked = [record for record in records if record.cell not in counted]
    return {
        "stage": stage,
        "method": method,
        "cells": len(cells),
        **{status.value: count for status, count in ended.items()},
        "seconds": sum(record.seconds for record in worked),
        "longest": max((r.seconds for r in records), default=0.0),
        "images": sum(record.images for record in worked),
        "images_per_second": images_per_second(worked),
    }


def _failure_row(cell: Cell, record: Record) -> Row:
    row: Row = {"stage": cell.stage.value, "name": cell.name, "cell": cell.id, "status": record.status.value}
    row |= {"attempt": record.attempt, "node": record.node}
    if record.failure:
        row |= {key: getattr(record.failure, key) for key in ("kind", "message", "traceback", "retryable")}
    return row


def _recorded(results: Results) -> Iterator[tuple[Cell, Record]]:
    return ((cell, results.records[cell.id]) for cell in results.cells if cell.id in results.records)


def origin(results: Results) -> Row:
    """The columns that say what a table of methods was made of; ``selection`` is the rule of the adapted ones."""
    return {"plan": results.plan, "selection": results.selection}


def _place(cell: Cell) -> Row:
    return {name: getattr(cell.tags, name) for name in PLACE}


def _value(found: Estimate | None) -> float:
    return found.value if found else float("nan")


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    further = dict.fromkeys(name for row in rows for name in row if name not in columns)
    return pd.DataFrame(list(rows), columns=[*columns, *sorted(further)])

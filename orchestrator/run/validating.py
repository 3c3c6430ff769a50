"""The validate stage: what every rule of selection says of an adaptation's epochs, and what its choice was worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from orchestrator.plan.cells import Cell
from orchestrator.run.bench import Bench, labelled, source_of, target_of, with_rows
from orchestrator.store.tables import VALIDATIONS
from trainables.contract import Context, Outcome, Split
from trainables.selection.rule import COLUMN, best

if TYPE_CHECKING:
    from trainables.data.reader import Reader
    from trainables.selection.trace import Known, Trace

Row = Mapping[str, float]


def validate(cell: Cell, bench: Bench, context: Context) -> Outcome:
    """Judge what was kept of the adaptation's epochs; no detector is run, and no pixel is looked at.

    Returns:
        For every rule ``r``: ``r``, its figure of the detector that was kept; ``chosen/r``, the epoch that it would
        have kept; ``accuracy/r``, the target accuracy of that; and ``accuracy/kept``. What is undefined is left out.
    """
    from trainables.selection.trace import EPOCHS, Trace

    trace = Trace.load(bench.place.artifacts.folder(cell.needs[0]) / EPOCHS)
    rules, reader = cell.params["rules"], bench.place.reader(cell)
    assert isinstance(rules, dict)
    rows = _rows(trace, list(rules), _known(cell, reader, trace), _truth(cell, reader))
    return with_rows(Outcome(metrics=_metrics(rows, list(rules)), rows=rows), context, VALIDATIONS)


def _known(cell: Cell, reader: Reader, trace: Trace) -> Known:
    """Labels of the source's images, and of the target's held-out ones for the rule that reads them."""
    from trainables.score import labels_by_image
    from trainables.selection.trace import ORACLE, SOURCE

    known = {SOURCE: labels_by_image(labelled(cell, reader, source_of(cell), Split.VAL))}
    if ORACLE in trace.ids:
        known[ORACLE] = labels_by_image(reader.images(target_of(cell), Split.VAL))
    return known


def _truth(cell: Cell, reader: Reader) -> Mapping[str, int]:
    """Labels of the target's test images: no rule is given them."""
    from trainables.score import labels_by_image

    return labels_by_image(reader.images(target_of(cell), Split.TEST))


def _rows(trace: Trace, rules: Sequence[str], known: Known, truth: Mapping[str, int]) -> list[Row]:
    from trainables.metrics import detection_metrics
    from trainables.selection.trace import TEST

    labels = np.array([truth[image] for image in trace.ids[TEST]])
    rows: list[Row] = []
    for row, odds in enumerate(trace.log_odds[TEST].astype(np.float64)):
        figures = detection_metrics(labels, np.exp(-np.logaddexp(0, -odds)))
        rows.append(
            {
                "epoch": row + 1,
                "kept": row + 1 == len(trace),
                "target_accuracy": figures["accuracy"],
                "target_auroc": figures.get("auroc", math.nan),
                **{rule: trace.value(rule, row, known) for rule in rules},
            }
        )
    return rows


def _metrics(rows: Sequence[Row], rules: Sequence[str]) -> dict[str, float]:
    kept = rows[-1]
    metrics = {"accuracy/kept": kept["target_accuracy"]}
    for rule in rules:
        chosen = _chosen(rule, rows)
        metrics |= {rule: kept[rule], f"chosen/{rule}": chosen["epoch"], f"accuracy/{rule}": chosen["target_accuracy"]}
    return {name: float(value) for name, value in metrics.items() if not math.isnan(value)}


def _chosen(rule: str, rows: Sequence[Row]) -> Row:
    """The epoch that the rule would have kept; the detector as handed back only where there is no other."""
    offered = [row for row in rows if not row["kept"]] or rows
    if all(math.isnan(row[rule]) for row in offered):
        return {"epoch": math.nan, "target_accuracy": math.nan}
    return offered[best(rule)([{COLUMN.get(rule, rule): row[rule]} for row in offered])]

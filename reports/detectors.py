"""The detectors without adaptation: how good each is, how far behind the first, how large and how fast."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from orchestrator.plan.cells import Cell, Stage
from orchestrator.store.records import Record, Status
from orchestrator.study.spaces import OUTSIDE
from reports.frames import INTERVAL, Row, images_per_second, interval_columns
from reports.results import Place, Results
from reports.selection import SOURCE_ONLY
from reports.statistics import Estimate, mean
from reports.tables import rows_of

SIZES = ("parameters", "trained_parameters")
"""Metrics of a train cell."""
_OF_MODELS = {**{name: name for name in SIZES}, "class_accuracy": "source_val_class_accuracy"}
"""Columns that are means over train cells' metrics, and which."""
_ACROSS = (
    *("pairs", "pairs_planned", *(metric + end for metric in ("accuracy", "auroc") for end in INTERVAL)),
    *("worst", "worst_source", "worst_target"),
)
_INSIDE = ("in_dataset_accuracy", "in_dataset_auroc")
DETECTORS = (
    *("plan", "detector", "seeds", *(name + end for name in _INSIDE for end in INTERVAL), *_ACROSS),
    *("shared_pairs", *("over_first" + end for end in INTERVAL), "clear", "as_it_came"),
    *(*SIZES, "class_accuracy", "train_images_per_second", "score_images_per_second"),
)


def detector_frame(results: Results, summary: pd.DataFrame) -> pd.DataFrame:
    """One row a detector, sorted by its mean accuracy across generators.

    ``accuracy``, ``auroc`` and ``worst`` are of the off-diagonal pairs, ``in_dataset_…`` of the generators that it was
    trained on. ``over_first`` is its accuracy minus the first's: pair by pair, seed by seed, image by image, over the
    pairs that both have; ``clear`` says that the interval excludes 0.

    ``as_it_came``: nothing was trained (``trainable: none``), so that what it was trained on, if on anything, is not
    known. Parameters are means over its models; cells that ran before they were counted have none. So is
    ``class_accuracy``, of a detector that tells families of fakes apart: that of its classes on held-out source images;
    of any other there is none. Images per second
    are all that passed through its models in training, and in scoring clean test images, over all seconds of those
    cells. Of a detector from outside neither is known.
    """
    plain = summary[(summary["adaptation"] == SOURCE_ONLY) & (summary["variant"] == "")]
    rows = sorted((_row(results.alone[row["detector"]], row) for row in rows_of(plain)), key=_standing)
    for row in rows[1:]:
        row |= _over_first(results, row["detector"], rows[0]["detector"])
    return pd.DataFrame(rows, columns=list(DETECTORS))


def _row(results: Results, summary: Row) -> Row:
    row: Row = {name: summary.get(name) for name in ("plan", "detector", *_ACROSS)}
    for name in _INSIDE:
        metric = name.removeprefix("in_dataset_")
        found, _ = results.average(row["detector"], SOURCE_ONLY, results.diagonal, metric)
        row |= interval_columns(name, found)
    row["seeds"] = _seeds(results, row["detector"])
    return row if _is_outside(results) else row | _size_and_speed(results)


def _seeds(results: Results, detector: str) -> int:
    """How many seeds each figure is a mean over; of those that differ the fewest, 0 where nothing is known."""
    places = ((results.entry(detector, SOURCE_ONLY, *pair), pair[1]) for pair in (*results.diagonal, *results.pairs))
    counts = (len(results.by_seed(*place, "accuracy")) for place in places)
    return min((count for count in counts if count), default=0)


def _size_and_speed(results: Results) -> Row:
    trained = [cell for cell in results.of(Stage.TRAIN) if not cell.tags.variant]  # a variant: part of a fusion
    scored = [c for c in results.of(Stage.SCORE) if c.tags.adaptation == SOURCE_ONLY and not c.tags.variant]
    made = [record.metrics for record in _done(results, trained)]
    return {
        "as_it_came": bool(made) and all(metrics.get("epoch") == 0 for metrics in made),
        **{name: _mean([metrics[known] for metrics in made if known in metrics]) for name, known in _OF_MODELS.items()},
        "train_images_per_second": images_per_second(_done(results, results.of(Stage.TRAIN))),
        "score_images_per_second": images_per_second(_done(results, scored)),
    }


def _over_first(results: Results, detector: str, first: str) -> Row:
    """A detector against the first over the pairs of train and test generator that both have."""
    trained = detector if _is_outside(results.alone[first]) else first
    found = [_difference(results, detector, first, source, test) for source, test in results.alone[trained].pairs]
    known = [each for each in found if each]
    over = mean(known) if known else None
    return {"shared_pairs": len(known), "clear": over.clear if over else None, **interval_columns("over_first", over)}


def _difference(results: Results, detector: str, first: str, source: str, test: str) -> Estimate | None:
    ours, theirs = (_tested(results, name, source, test) for name in (detector, first))
    if OUTSIDE in (ours[0].source, theirs[0].source):  # one table of scores stands against every seed
        found, least = (results.at(model, test, "accuracy") for model, _, _ in (ours, theirs))
        return found - least if found and least else None
    return results.difference(ours, theirs, "accuracy")


def _tested(results: Results, detector: str, source: str, test: str) -> Place:
    """Where a detector that is trained on the source is tested; one from outside, whatever it was trained on."""
    alone = results.alone[detector]
    return alone.entry(detector, SOURCE_ONLY, OUTSIDE if _is_outside(alone) else source, test), test, ""


def _is_outside(alone: Results) -> bool:
    return OUTSIDE in alone.sources


def _done(results: Results, cells: Sequence[Cell]) -> list[Record]:
    records = [results.records[cell.id] for cell in cells if cell.id in results.records]
    return [record for record in records if record.status is Status.DONE]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def _standing(row: Row) -> tuple[float, float]:
    """The higher its accuracies, across generators first, the smaller; what is not known comes last."""
    across, inside = (-row[name] for name in ("accuracy", "in_dataset_accuracy"))
    return (across if math.isfinite(across) else math.inf, inside if math.isfinite(inside) else math.inf)

"""What the attacks did, as tables: robust accuracy and the error rates of both directions against the budget."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from orchestrator.plan.cells import Cell, Stage
from orchestrator.store.records import Record, Status
from orchestrator.store.tables import ROWS_FILE, read_rows
from reports.frames import INTERVAL, PLACE, Row, interval_columns
from reports.results import Results
from reports.statistics import THRESHOLD, Estimate, Scores, estimate, mean

RATES = ("robust_accuracy", "fake_to_real", "real_to_fake")
"""Accuracy on the attacked images; and of the images told right before the attack, the share of fakes that then pass
for real, and of reals that then pass for fake."""

_NAMED = re.compile(rf"(?P<rate>{'|'.join(RATES)})_eps(?P<epsilon>[0-9.]+)")

ATTACKS = (
    *("plan", "selection", *PLACE, "attack", "epsilon", "cell", "images"),
    *(rate + end for rate in RATES for end in INTERVAL),
)
ATTACK_MEANS = (
    *("plan", "selection", "detector", "adaptation", "attack", "epsilon", "models"),
    *(rate + end for rate in RATES for end in INTERVAL),
)


def attack_frames(results: Results) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row an attacked model and budget; and the means over the models of a detector and method, oracles left out.

    Budgets are in pixel steps of 0-255. Rates come from the per-image rows; where these are gone, from the ledger,
    without intervals.
    """
    rows: list[Row] = []
    grouped: dict[tuple[str, str, str, float], list[Mapping[str, Estimate]]] = {}
    for cell, record in _attacked(results):
        for epsilon, (rates, images) in sorted(_rates(results, cell, record).items()):
            rows.append(_row(results, cell, epsilon, rates, images))
            if cell.tags.adaptation not in results.oracles:
                key = (cell.tags.detector, cell.tags.adaptation, cell.tags.variant, epsilon)
                grouped.setdefault(key, []).append(rates)
    means = [_mean_row(results, key, found) for key, found in grouped.items()]
    return pd.DataFrame(rows, columns=list(ATTACKS)), pd.DataFrame(means, columns=list(ATTACK_MEANS))


def _attacked(results: Results) -> Iterator[tuple[Cell, Record]]:
    for cell in results.of(Stage.ATTACK):
        record = results.records.get(cell.id)
        if record and record.status is Status.DONE:
            yield cell, record


def _rates(results: Results, cell: Cell, record: Record) -> dict[float, tuple[Mapping[str, Estimate], int | None]]:
    path = results.folders.folder(cell.id) / ROWS_FILE
    if not path.is_file():
        return {epsilon: (rates, None) for epsilon, rates in _from_metrics(results, record).items()}
    table = read_rows(path)
    found: dict[float, tuple[Mapping[str, Estimate], int | None]] = {}
    for epsilon, part in table.groupby("epsilon"):
        found[float(str(epsilon))] = _after(part, "adversarial_score", results)
    if found and 0.0 not in found:
        found[0.0] = _after(table[table["epsilon"] == min(found)], "clean_score", results)
    return found


def _after(rows: pd.DataFrame, score: str, results: Results) -> tuple[dict[str, Estimate], int]:
    scores = Scores.from_frame(rows, score)
    right = rows[(rows["clean_score"] > THRESHOLD) == (rows["label"] == 1)]
    flips = estimate(Scores.from_frame(right, score), results.resampler, ("fake_to_real", "real_to_fake"))
    accuracy = estimate(scores, results.resampler, ("accuracy",))["accuracy"]
    return {"robust_accuracy": accuracy, **flips}, len(scores)


def _from_metrics(results: Results, record: Record) -> dict[float, dict[str, Estimate]]:
    nothing = np.full(results.resampler.draws, np.nan)
    found: dict[float, dict[str, Estimate]] = {}
    for name, value in record.metrics.items():
        match = _NAMED.fullmatch(name)
        if match:
            rates = found.setdefault(float(match["epsilon"]), {})
            rates[match["rate"]] = Estimate(float(value), nothing)
    return found


def _row(results: Results, cell: Cell, epsilon: float, rates: Mapping[str, Estimate], images: int | None) -> Row:
    row: dict[str, Any] = {"plan": results.plan, "selection": cell.tags.selection, "attack": cell.tags.variant}
    row |= {name: getattr(cell.tags, name) for name in PLACE}
    row |= {"epsilon": epsilon, "cell": cell.id, "images": images}
    for rate in RATES:
        row |= interval_columns(rate, rates.get(rate))
    return row


def _mean_row(results: Results, key: tuple[str, str, str, float], found: list[Mapping[str, Estimate]]) -> Row:
    names = dict(zip(("detector", "adaptation", "attack", "epsilon"), key, strict=True))
    row: Row = {"plan": results.plan, "selection": results.selection, **names, "models": len(found)}
    for rate in RATES:
        known = [rates[rate] for rates in found if rate in rates and math.isfinite(rates[rate].value)]
        row |= interval_columns(rate, mean(known) if known else None)
    return row

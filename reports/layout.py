"""From results to the text of the page: the template is given finished words, tables and figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from orchestrator.store.records import Status
from reports.pictures import Pictures, pictures
from reports.results import Results, in_matrix
from reports.tables import (
    HeatTable,
    Table,
    attack_table,
    corruption_table,
    cost_table,
    gain_table,
    heat_table,
    rows_of,
    summary_table,
)
from reports.words import headline, how_intervals, unbalanced

PICTURES = 60
_METRICS = (("accuracy", "Accuracy at threshold 0.5"), ("auroc", "AUROC"))


@dataclass(frozen=True, slots=True)
class Frames:
    """Every table of a report as a frame."""

    grid: pd.DataFrame
    gains: pd.DataFrame
    summary: pd.DataFrame
    attacks: pd.DataFrame
    attack_means: pd.DataFrame
    costs: pd.DataFrame
    failures: pd.DataFrame
    curves: pd.DataFrame


@dataclass(frozen=True, slots=True)
class Drawings:
    """A detector's figures as SVG, by what they show; empty where there is nothing to show."""

    gains: str = ""
    curves: str = ""
    attacks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DetectorPart:
    """What the page says of one detector."""

    name: str
    sentences: Sequence[str]
    matrices: Sequence[tuple[str, Sequence[HeatTable]]]
    summary: Table
    gains: Table
    pair_gains: Table
    corruptions: Table | None
    attacks: Table | None
    drawings: Drawings
    pictures: Pictures
    pictures_left: int


def page(
    study: Mapping[str, Any],
    results: Results,
    frames: Frames,
    drawings: Mapping[str, Drawings],
    unusable: Sequence[tuple[str, str]],
) -> str:
    """The whole report as one HTML page that needs no network."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["svg"] = Markup  # our own figures; all else is escaped
    room = files("reports")
    return environment.from_string(room.joinpath("page.html").read_text("utf-8")).render(
        css=Markup(room.joinpath("page.css").read_text("utf-8")),
        study=study,
        plan=results.plan,
        data=results.data,
        selection=results.selection,
        progress=_progress(results),
        dates=_dates(results),
        provenance=_provenance(results),
        detectors=[_part(results, frames, drawings[detector], detector) for detector in results.detectors],
        large=len(results.tests) > 6 or max(map(len, results.tests), default=0) > 9,
        costs=cost_table(frames.costs),
        failures=rows_of(frames.failures.astype(object).where(frames.failures.notna(), "")),
        unbalanced=unbalanced(results),
        unusable=unusable,
        intervals=how_intervals(),
        without_scores=_without_scores(results),
        yaml=yaml.safe_dump(json.loads(json.dumps(study, default=str)), sort_keys=False, allow_unicode=True),
    )


def _part(results: Results, frames: Frames, drawings: Drawings, detector: str) -> DetectorPart:
    shown, left = pictures(results, detector, PICTURES)
    attacked = detector in set(frames.attack_means["detector"])
    return DetectorPart(
        name=detector,
        sentences=headline(results, frames.summary, frames.gains, detector),
        matrices=[
            (title, [heat_table(results, detector, adaptation, metric) for adaptation in results.adaptations])
            for metric, title in _METRICS
        ],
        summary=summary_table(frames.summary, detector),
        gains=gain_table(frames.gains, detector, results.baselines, "mean"),
        pair_gains=gain_table(frames.gains, detector, results.baselines, "pair"),
        corruptions=corruption_table(frames.summary, detector, results.variants) if results.variants else None,
        attacks=attack_table(frames.attack_means, detector) if attacked else None,
        drawings=drawings,
        pictures=shown,
        pictures_left=left,
    )


def _progress(results: Results) -> dict[str, int]:
    ended = [record.status for record in results.records.values()]
    counts = {status.value: ended.count(status) for status in Status}
    return {**counts, "cells": len(results.cells), "left": len(results.cells) - len(ended)}


def _dates(results: Results) -> str:
    """When the first cell started and the last ended, from the records alone."""
    records = [record for record in results.records.values() if record.started]
    if not records:
        return ""
    first = min(record.started for record in records)
    last = max(record.started + record.seconds for record in records)
    begin, end = (datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M") for moment in (first, last))
    return f"{begin} UTC" if begin == end else f"{begin} to {end[11:] if end[:10] == begin[:10] else end} UTC"


def _provenance(results: Results) -> dict[str, str]:
    """Every fact the records state about where they come from; several values where cells differ."""
    found: dict[str, set[str]] = {}
    for record in results.records.values():
        for name, value in {**record.provenance, "node": record.node}.items():
            if value:
                found.setdefault(name, set()).add(str(value))
    return {name: ", ".join(sorted(values)) for name, values in sorted(found.items())}


def _without_scores(results: Results) -> int:
    """How many matrix entries are shown from the ledger alone, their scores being gone."""
    entries = [id_ for id_ in results.estimates if id_ not in results.scores]
    cells = {cell.id: cell for cell in results.cells}
    return sum(in_matrix(cells[id_]) for id_ in entries)

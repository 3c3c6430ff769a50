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
from markupsafe import Markup

from orchestrator.store.records import Status
from reports.alarms import MEANINGS, WITHIN, alarm_counts, alarm_table, counts_table
from reports.audit import AuditPart, template_environment
from reports.audit_tables import below_matrix, beside_summary
from reports.comparison import ranking
from reports.comparison_tables import comparison_table, pair_gain_table, recovery_table
from reports.continual_tables import ContinualPart
from reports.detectors_part import DetectorsPart
from reports.pictures import Pictures, pictures
from reports.results import Results, in_matrix
from reports.selection import ORACLE
from reports.severity import drop_table
from reports.tables import (
    HeatTable,
    Table,
    attack_table,
    corruption_table,
    cost_table,
    heat_table,
    rows_of,
    summary_table,
)
from reports.tuning_part import TuningPart
from reports.validation import Validation
from reports.validation_tables import ValidationPart, validation_part
from reports.words import chosen_by, headline, how_intervals, over_control, rank_words, seeds_covered, unbalanced

PICTURES = 60
_METRICS = (("accuracy", "Accuracy at threshold 0.5"), ("auroc", "AUROC"))


@dataclass(frozen=True, slots=True)
class Frames:
    """Every table of a report as a frame, the audit of its data, and what was tuned."""

    grid: pd.DataFrame
    gains: pd.DataFrame
    summary: pd.DataFrame
    drops: pd.DataFrame
    comparison: pd.DataFrame
    recoveries: pd.DataFrame
    alarms: pd.DataFrame
    severities: pd.DataFrame
    attacks: pd.DataFrame
    attack_means: pd.DataFrame
    costs: pd.DataFrame
    failures: pd.DataFrame
    curves: pd.DataFrame
    validation: Validation
    audit: AuditPart
    tuning: TuningPart
    continual: ContinualPart
    detectors: DetectorsPart


@dataclass(frozen=True, slots=True)
class Drawings:
    """A detector's figures as SVG, by what they show; empty where there is nothing to show."""

    gains: str = ""
    ranks: str = ""
    curves: str = ""
    severity: str = ""
    validators: str = ""
    attacks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Alarms:
    """What the page says of alarms: how many of each kind, by method, and each with its cell."""

    counts: Mapping[str, int]
    table: Table
    rows: Table
    information: Table


@dataclass(frozen=True, slots=True)
class DetectorPart:
    """What the page says of one detector."""

    name: str
    sentences: Sequence[str]
    matrices: Sequence[tuple[str, Sequence[HeatTable]]]
    summary: Table
    comparison: Table
    covered: str
    tests: str
    control: str
    pair_gains: Table
    recoveries: Table | None
    corruptions: Table | None
    drops: Table | None
    attacks: Table | None
    validation: ValidationPart | None
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
    template = template_environment().get_template("page.html")
    return template.render(
        css=Markup(files("reports").joinpath("page.css").read_text("utf-8")),
        study=study,
        plan=results.plan,
        data=results.data,
        selection=results.selection,
        chosen=chosen_by(results.selection),
        bound=results.selection == ORACLE,
        watched=frames.validation.watched,
        oracles=results.oracles,
        progress=_progress(results),
        dates=_dates(results),
        provenance=_provenance(results),
        detectors=[_part(ours, frames, drawings[detector], detector) for detector, ours in results.alone.items()],
        compared=frames.detectors,
        large=len(results.tests) > 6 or max(map(len, results.tests), default=0) > 9,
        audit=frames.audit,
        tuning=frames.tuning,
        continual=frames.continual,
        costs=cost_table(frames.costs),
        alarms=_alarms(frames.alarms),
        meanings=MEANINGS,
        within=WITHIN,
        failures=rows_of(frames.failures.astype(object).where(frames.failures.notna(), "")),
        unbalanced=unbalanced(results),
        unusable=unusable,
        intervals=how_intervals(results),
        without_scores=_without_scores(results),
        yaml=yaml.safe_dump(json.loads(json.dumps(study, default=str)), sort_keys=False, allow_unicode=True),
    )


def _part(results: Results, frames: Frames, drawings: Drawings, detector: str) -> DetectorPart:
    seen, left = pictures(results, detector, PICTURES)
    shown = (*results.adaptations, *results.oracles)
    attacked = detector in set(frames.attack_means["detector"])
    compared = frames.comparison[frames.comparison["detector"] == detector]
    return DetectorPart(
        name=detector,
        sentences=headline(results, frames.summary, frames.gains, detector),
        matrices=[
            (title, [_matrix(results, frames.audit, detector, name, metric) for name in shown])
            for metric, title in _METRICS
        ],
        summary=beside_summary(summary_table(frames.summary, detector), frames.audit.baselines, results.tests),
        comparison=comparison_table(
            compared, frames.gains, frames.recoveries, detector, results.baselines, results.control
        ),
        covered=seeds_covered(compared["seeds"]),
        tests=rank_words(*ranking(results, detector), int(compared["p"].notna().sum())),
        control=over_control(frames.gains, detector, results.baselines, results.control),
        pair_gains=pair_gain_table(frames.gains, detector, results.baselines),
        recoveries=recovery_table(frames.recoveries, detector),
        corruptions=corruption_table(frames.summary, detector, results.variants) if results.variants else None,
        drops=drop_table(frames.drops, detector) if results.variants else None,
        attacks=attack_table(frames.attack_means, detector) if attacked else None,
        validation=validation_part(frames.validation, detector, results.selection),
        drawings=drawings,
        pictures=seen,
        pictures_left=left,
    )


def _matrix(results: Results, audit: AuditPart, detector: str, adaptation: str, metric: str) -> HeatTable:
    table = heat_table(results, detector, adaptation, metric)
    return below_matrix(table, audit.baselines) if metric == "auroc" else table


def _alarms(alarms: pd.DataFrame) -> Alarms:
    tables = (alarm_table(alarms, level) for level in ("alarm", "information"))
    return Alarms(alarm_counts(alarms), counts_table(alarms), *tables)


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

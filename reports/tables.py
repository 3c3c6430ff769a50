"""What the page shows, put into words and cells; the template only lays it out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from orchestrator.plan.cells import Cell
from orchestrator.store.records import Record, Status
from orchestrator.study.spaces import OUTSIDE
from reports.colours import shade
from reports.frames import INTERVAL, Row
from reports.results import Model, Results

MISSING = "–"


@dataclass(frozen=True, slots=True)
class HeatCell:
    """One entry of a matrix: what it says, how it looks, and what a pointer on it tells."""

    text: str
    title: str
    state: str = "value"
    background: str = ""
    ink: str = ""
    diagonal: bool = False
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class HeatTable:
    """A method's matrix as a table: a row a train generator, a column a test generator.

    The rows named in ``apart`` are none of its entries, but what they are to be compared with; so is all of it where
    it is ``shaded``.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[HeatCell, ...]], ...]
    captions: tuple[str, ...]
    apart: tuple[str, ...] = ()
    shaded: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its interval, as text; ``clear`` where the interval excludes 0; ``flagged`` is a warning."""

    text: str
    interval: str = ""
    clear: bool = True
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A plain table: its columns, and rows of names and figures.

    The columns in ``shaded`` are no figures of the methods, but what these are to be compared with.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[Figure, ...]], ...]
    heads: int = 1
    shaded: frozenset[str] = frozenset()


def number(value: float, places: int = 2) -> str:
    """A figure as text; a dash where it is not known."""
    return f"{value:.{places}f}" if math.isfinite(value) else MISSING


def signed(value: float, places: int = 3) -> str:
    """A difference as text, with its sign: a true minus, and no sign at 0."""
    text = number(abs(value), places)
    if text == MISSING or float(text) == 0:
        return text
    return ("+" if value > 0 else "\u2212") + text


def percent(value: float) -> str:
    """A share in words: ``51.5 %``."""
    return f"{100 * value:.1f} %" if math.isfinite(value) else MISSING


def interval(low: float, high: float, places: int = 2, *, sign: bool = False) -> str:
    """Both ends of an interval, of a difference with its signs; empty where there is none."""
    if not math.isfinite(low):
        return ""
    return f"{signed(low)} to {signed(high)}" if sign else f"{number(low, places)} to {number(high, places)}"


def with_interval(row: Row, name: str) -> Figure:
    """A figure of a row of a frame."""
    value, low, high = (row[name + end] for end in INTERVAL)
    return Figure(number(value), interval(low, high))


def arrow(source: object, target: object) -> str:
    """A pair of generators; empty where there is none."""
    return f"{source} → {target}" if isinstance(source, str) else ""


def rows_of(frame: pd.DataFrame) -> list[Row]:
    """The rows of a frame, by column."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def heat_table(results: Results, detector: str, adaptation: str, metric: str) -> HeatTable:
    """The matrix of a method, holes and their reasons included."""
    rows = tuple(
        (source, tuple(_heat_cell(results, detector, adaptation, source, test, metric) for test in results.tests))
        for source in results.sources
    )
    means = (("in-dataset", results.diagonal), ("across", results.pairs))
    captions = (f"{name} {_average(results, detector, adaptation, pairs, metric)}" for name, pairs in means if pairs)
    oracle = adaptation in results.oracles
    told = ("trained on the target's labels",) if oracle else ()
    return HeatTable(adaptation, results.tests, rows, (*told, *captions), shaded=oracle)


def summary_table(summary: pd.DataFrame, detector: str) -> Table:
    """The methods of a detector on clean images, one row each."""
    ours = summary[(summary["detector"] == detector) & (summary["variant"] == "")]
    columns = ("method", "pairs", "accuracy", "AUROC", "fakes taken for real", "reals taken for fake")
    rows = tuple(
        (
            (row["adaptation"],),
            (
                Figure(f"{row['pairs']} of {row['pairs_planned']}"),
                *(with_interval(row, name) for name in ("accuracy", "auroc", "fake_to_real", "real_to_fake")),
                Figure(number(row["worst"]), arrow(row["worst_source"], row["worst_target"])),
                Figure(number(row["on_source"])),
            ),
        )
        for row in rows_of(ours)
    )
    return Table((*columns, "worst pair", "on its own source"), rows)


def corruption_table(summary: pd.DataFrame, detector: str, variants: Sequence[str]) -> Table:
    """Accuracy over the off-diagonal pairs under every corruption, and the drop from clean images."""
    ours = summary[summary["detector"] == detector]
    rows = []
    for adaptation, part in ours.groupby("adaptation", sort=False):
        by_variant = {row["variant"]: row for row in rows_of(part)}
        figures = [with_interval(by_variant[""], "accuracy")]
        for variant in variants:
            figures += [with_interval(by_variant[variant], "accuracy"), _drop(by_variant[variant])]
        rows.append(((str(adaptation),), tuple(figures)))
    names = [name for variant in variants for name in (variant, "change")]
    return Table(("method", "clean", *names), tuple(rows))


def attack_table(means: pd.DataFrame, detector: str) -> Table:
    """Every attack's means over the models of a method, one row a budget."""
    ours = means[means["detector"] == detector]
    rows = tuple(
        (
            (row["attack"], row["adaptation"], f"{row['epsilon']:g}"),
            (
                Figure(str(row["models"])),
                *(with_interval(row, n) for n in ("robust_accuracy", "fake_to_real", "real_to_fake")),
            ),
        )
        for row in rows_of(ours)
    )
    columns = ("attack", "method", "ε", "models", "robust accuracy", "fakes then real", "reals then fake")
    return Table(columns, rows, heads=3)


def cost_table(costs: pd.DataFrame) -> Table:
    """Cells, time and throughput by stage and method."""
    rows = tuple(
        (
            (row["stage"], row["method"]),
            (
                *(Figure(str(n)) for n in (row["cells"], row["done"], row["failed"], row["blocked"])),
                Figure(duration(row["seconds"])),
                Figure(duration(row["longest"])),
                Figure(f"{row['images']:,}".replace(",", "\u202f")),
                Figure(number(row["images_per_second"], 0)),
            ),
        )
        for row in rows_of(costs)
    )
    columns = ("stage", "method", "cells", "done", "failed", "blocked", "time", "longest cell", "images", "images/s")
    return Table(columns, rows, heads=2)


def duration(seconds: float) -> str:
    """A time as a person reads it: ``4.0 s``, ``6 min 10 s``, ``2 h 05 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _heat_cell(results: Results, detector: str, adaptation: str, source: str, test: str, metric: str) -> HeatCell:
    model = results.entry(detector, adaptation, source, test)
    found = results.at(model, test, metric)
    origin = "from outside" if source == OUTSIDE else f"trained on {source}"
    where = f"{origin}, tested on {test}" + (": in-dataset" if results.seen(source, test) else "")
    if found is None or not math.isfinite(found.value):
        state, why = _hole(results, model, test)
        marks = {"failed": "✕", "blocked": "⊘", "pending": "·"}
        return HeatCell(marks[state], f"{where}\n{state}{why}", state, diagonal=results.seen(source, test))
    background, ink = shade(found.value)
    seeds = results.by_seed(model, test, metric)
    each = [f"seed {seed}: {number(one.value, 3)}" for seed, one in sorted(seeds.items())] if len(seeds) > 1 else []
    told = "\n".join(
        [where, f"{number(found.value, 3)} ({interval(found.low, found.high, 3) or 'no interval'})", *each]
    )
    return HeatCell(number(found.value), told, "value", background, ink, results.seen(source, test))


def _hole(results: Results, model: Model, test: str) -> tuple[str, str]:
    """Why an entry is empty: the worst that befell its cells."""
    records = _records(results, results.scored(model, test).values())
    for status in (Status.FAILED, Status.BLOCKED):
        for record in records:
            if record.status is status:
                return status.value, f": {record.failure.message}" if record.failure else ""
    return "pending", ""


def _records(results: Results, cells: Iterable[Cell]) -> list[Record]:
    return [results.records[cell.id] for cell in cells if cell.id in results.records]


def _average(results: Results, detector: str, adaptation: str, pairs: Sequence[tuple[str, str]], metric: str) -> str:
    found, known = results.average(detector, adaptation, pairs, metric)
    if found is None:
        return MISSING
    part = f" ({known} of {len(pairs)})" if known < len(pairs) else ""
    ends = interval(found.low, found.high)
    return number(found.value) + (f" [{ends}]" if ends else "") + part


def _drop(row: Row) -> Figure:
    value, low, high = (row["drop" + end] for end in INTERVAL)
    return Figure(signed(-value), interval(-high, -low, sign=True), clear=low > 0 or high < 0)

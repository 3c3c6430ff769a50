"""What the page says of the detectors without adaptation: a table, which leads, and what trivial facts reach."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from orchestrator.study.spaces import OUTSIDE
from reports.audit_words import Baseline, floor_words
from reports.detectors import detector_frame
from reports.detectors_figure import detectors_figure
from reports.frames import INTERVAL, Row
from reports.results import Results
from reports.tables import MISSING, Figure, Table, arrow, interval, number, percent, rows_of, signed, with_interval
from reports.words import seeds_covered

_UNITS = (("B", 1e9), ("M", 1e6), ("k", 1e3))
_MOST_NAMED = 4


@dataclass(frozen=True, slots=True)
class DetectorsPart:
    """Everything that a report has of the detectors themselves.

    Attributes:
        frame: one row a detector.
        table: of the page; None where there is one detector alone, of which the page says all this elsewhere.
        sentence: which detector leads, and over which it is not shown to.
        covered: whether intervals hold over trainings.
        families: how well those that tell families of fakes apart do; blank where none does.
        floor: what trivial facts of the files reach; blank where that is not known.
        drawing: the figure as SVG; blank where there is nothing to show.
    """

    frame: pd.DataFrame
    table: Table | None = None
    sentence: str = ""
    covered: str = ""
    families: str = ""
    floor: str = ""
    drawing: str = ""

    @property
    def figures(self) -> dict[str, str]:
        """SVG by the name of a file."""
        return {"detectors": self.drawing} if self.drawing else {}


def detectors_part(results: Results, summary: pd.DataFrame, baselines: Mapping[str, Baseline]) -> DetectorsPart:
    """The detectors of a study as far as it is done, and the shortcut baselines of its audit."""
    frame = detector_frame(results, summary)
    if len(frame) < 2:
        return DetectorsPart(frame)
    return DetectorsPart(
        frame=frame,
        table=detector_table(frame),
        sentence=leader_words(frame),
        covered=seeds_covered(count for count in frame["seeds"] if count),
        families=family_words(frame),
        floor=floor_words(baselines, results.tests),
        drawing=detectors_figure(frame) if frame["accuracy"].notna().any() else "",
    )


def detector_table(frame: pd.DataFrame) -> Table:
    """One row a detector; a difference from the first is grey where its interval holds 0."""
    columns = ("detector", "in-dataset accuracy", "in-dataset AUROC", "accuracy across", "AUROC across")
    rows = tuple(
        (
            (row["detector"],),
            (
                with_interval(row, "in_dataset_accuracy"),
                with_interval(row, "in_dataset_auroc"),
                _across(row),
                with_interval(row, "auroc"),
                _over_first(row, first=place == 0),
                Figure(number(row["worst"]), arrow(row["worst_source"], row["worst_target"])),
                _parameters(row),
                _speed(row),
            ),
        )
        for place, row in enumerate(rows_of(frame))
    )
    return Table((*columns, "over the first", "worst pair", "parameters", "images/s in training"), rows)


def leader_words(frame: pd.DataFrame) -> str:
    """Whether the first is best across generators: only if its lead over each other is clear of its interval."""
    first, *others = rows_of(frame)
    name, unknown = first["detector"], first["worst_source"] == OUTSIDE or first["as_it_came"] is True
    if not math.isfinite(first["accuracy"]):
        return ""
    level = [str(row["detector"]) for row in others if not (row["clear"] is True and row["over_first"] < 0)]
    if level:
        said = f"No detector is clearly best across generators: {name} has the largest mean, and is not shown to lead"
        return f"{said} {_listed(level)}."
    if unknown:
        return f"{name} leads, but what it was trained on is not known: it may have seen the test generators."
    return f"{name} is best across generators: its lead over every other is clear of its 95 % interval."


def family_words(frame: pd.DataFrame) -> str:
    """How well each detector that has a class a family tells them apart."""
    return " ".join(
        f"{row['detector']} tells its families apart on {percent(row['class_accuracy'])} of held-out source images."
        for row in rows_of(frame[frame["class_accuracy"].notna()])
    )


def _listed(names: Sequence[str]) -> str:
    named, more = names[:_MOST_NAMED], len(names) - _MOST_NAMED
    *start, last = [*named, f"{more} more"] if more > 0 else named
    return f"{', '.join(start)} or {last}" if start else last


def _across(row: Row) -> Figure:
    found = with_interval(row, "accuracy")
    return Figure(found.text, _of_pairs(found.interval, row["pairs"], row))


def _over_first(row: Row, *, first: bool) -> Figure:
    if first:
        return Figure("")
    value, low, high = (row["over_first" + end] for end in INTERVAL)
    ends = interval(low, high, sign=True)
    return Figure(signed(value), _of_pairs(ends, row["shared_pairs"], row), clear=row["clear"] is True)


def _of_pairs(ends: str, known: float, row: Row) -> str:
    """The ends of an interval, and how many pairs it is of where these are not all of a detector's."""
    part = f"{known:.0f} of {row['pairs_planned']} pairs" if known < row["pairs_planned"] else ""
    return ", ".join(filter(None, (ends, part)))


def _parameters(row: Row) -> Figure:
    """How many, and how many of them are trained."""
    whole, trained = row["parameters"], row["trained_parameters"]
    if not math.isfinite(whole):
        return Figure(MISSING)
    share = "as it came" if row["as_it_came"] is True else f"{'all' if trained == whole else _short(trained)} trained"
    return Figure(_short(whole), share if whole else "")


def _short(count: float) -> str:
    """Three digits and a unit: ``11.2 M``."""
    for unit, size in _UNITS:
        if count >= 0.9995 * size:
            return f"{count / size:.3g}\u202f{unit}"
    return f"{count:.0f}"


def _speed(row: Row) -> Figure:
    """In training, and below it in scoring."""
    trained, scored = (row[f"{stage}_images_per_second"] for stage in ("train", "score"))
    return Figure(_a_second(trained), f"{_a_second(scored)} in scoring" if math.isfinite(scored) else "")


def _a_second(images: float) -> str:
    return f"{images:,.0f}".replace(",", "\u202f") if images >= 10 else number(images, 1)

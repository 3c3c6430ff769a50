"""What the page shows of sequences of generators: a table of the figures, and every R with its holes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from orchestrator.store.records import Status
from reports.colours import shade
from reports.continual import JOINT, NAIVE, OVER_NAIVE, Course, course_frame, courses_of, matrix_entries
from reports.continual_figures import sequence_figure
from reports.frames import INTERVAL, Row
from reports.results import Results
from reports.tables import Figure, HeatCell, HeatTable, Table, interval, number, rows_of, signed
from reports.words import seeds_covered

SHOWN = "accuracy"
"""The metric of the page; the tables beside it have them all."""

_BOUNDS = {NAIVE: "lower bound", JOINT: "upper bound"}
_MARKS = {Status.FAILED.value: "✕", Status.BLOCKED.value: "⊘", "pending": "·"}


@dataclass(frozen=True, slots=True)
class SequencePart:
    """What the page says of one detector and one sequence.

    Attributes:
        covered: whether intervals hold over trainings, and whether the bounds bound anything.
        drawing: the figure as SVG; empty where nothing is known.
    """

    detector: str
    name: str
    generators: Sequence[str]
    table: Table
    matrices: Sequence[HeatTable]
    covered: str
    drawing: str


@dataclass(frozen=True, slots=True)
class ContinualPart:
    """Everything that a report has of sequences; nothing where the study has none.

    Attributes:
        frames: by the name of a file.
        parts: of the page, one a detector and sequence.
    """

    frames: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    parts: Sequence[SequencePart] = ()

    @property
    def figures(self) -> dict[str, str]:
        """SVG by the name of a file."""
        return {f"sequence_{part.detector}_{part.name}": part.drawing for part in self.parts if part.drawing}


def continual_part(results: Results) -> ContinualPart:
    """The sequences of a study: tables, page and figures."""
    courses = courses_of(results)
    if not courses:
        return ContinualPart()
    groups: dict[tuple[str, str], list[Course]] = {}
    for course in courses:
        groups.setdefault((course.detector, course.sequence), []).append(course)
    figures, entries = course_frame(courses), matrix_entries(courses)
    parts = [_part(ours, _only(figures, key), _only(entries, key)) for key, ours in groups.items()]
    return ContinualPart({"continual": figures, "continual_matrices": entries}, parts)


def course_table(rows: pd.DataFrame) -> Table:
    """The methods of one sequence, one row each; differences are grey where their interval holds 0."""
    columns = ("method", "seeds", "on all, in the end", "over naive", "when learnt", "backward transfer")
    return Table(
        (*columns, "forgetting", "before it is learnt"),
        tuple(
            (
                (called(row["adaptation"], row["kind"]),),
                (
                    Figure(f"{row['seeds']} of {row['seeds_planned']}"),
                    _figure(row, "average"),
                    _change(row, OVER_NAIVE),
                    _figure(row, "newly_learnt"),
                    _change(row, "backward_transfer"),
                    _change(row, "forgetting"),
                    _figure(row, "unseen"),
                ),
            )
            for row in rows_of(rows)
        ),
    )


def course_heat(course: Course, rows: pd.DataFrame) -> HeatTable:
    """R of one method: a row a step, a column a generator; framed at the step that learns it."""
    found = {(row["step"], row["test"]): row for row in rows_of(rows)}
    lines = tuple(
        (f"{step} {learnt}", tuple(_entry(course, found[step, test], place) for place, test in _numbered(course)))
        for step, learnt in _numbered(course)
    )
    return HeatTable(called(course.adaptation, course.kind), course.generators, lines, ())


def called(adaptation: str, kind: str) -> str:
    """A method's name, and what it is to the others."""
    return f"{adaptation} ({_BOUNDS[kind]})" if kind in _BOUNDS else adaptation


def _part(courses: Sequence[Course], figures: pd.DataFrame, entries: pd.DataFrame) -> SequencePart:
    first = courses[0]
    rows = figures[figures["metric"] == SHOWN]
    shown = entries[entries["metric"] == SHOWN]
    by_method = [shown[shown["adaptation"] == course.adaptation] for course in courses]
    return SequencePart(
        detector=first.detector,
        name=first.sequence,
        generators=first.generators,
        table=course_table(rows),
        matrices=[course_heat(*pair) for pair in zip(courses, by_method, strict=True)],
        covered=" ".join(filter(None, (seeds_covered(n for n in rows["seeds"] if n), _recipes(courses)))),
        drawing=sequence_figure(shown, first.detector, first.sequence) if shown["value"].notna().any() else "",
    )


def _recipes(courses: Sequence[Course]) -> str:
    if all(course.recipe == courses[0].recipe for course in courses):
        return ""
    return "The methods are trained by different recipes: naive and joint bound none that is trained otherwise."


def _entry(course: Course, row: Row, place: int) -> HeatCell:
    step, learns = row["step"], row["step"] == place
    after = f"after step {step}" if step else "the source detector"
    where = f"{after}, tested on {row['test']}" + (": learnt at this step" if learns else "")
    if not math.isfinite(row["value"]):
        state, why = _hole(course, step, place)
        return HeatCell(_MARKS[state], f"{where}\n{state}{why}", state, diagonal=learns)
    background, ink = shade(row["value"])
    ends = interval(row["value_low"], row["value_high"], 3) or "no interval"
    told = f"{where}\n{number(row['value'], 3)} ({ends})"
    return HeatCell(number(row["value"]), told, "value", background, ink, learns)


def _hole(course: Course, step: int, place: int) -> tuple[str, str]:
    """Why an entry is not known: the worst that befell its cells."""
    records = course.results.records
    found = [records[cell.id] for cell in course.cells(step, place).values() if cell.id in records]
    for status in (Status.FAILED, Status.BLOCKED):
        for record in found:
            if record.status is status:
                return status.value, f": {record.failure.message}" if record.failure else ""
    return "pending", ""


def _only(frame: pd.DataFrame, key: tuple[str, str]) -> pd.DataFrame:
    return frame[(frame["detector"] == key[0]) & (frame["sequence"] == key[1])]


def _numbered(course: Course) -> list[tuple[int, str]]:
    return list(enumerate(course.generators))


def _figure(row: Row, name: str) -> Figure:
    value, low, high = (row[name + end] for end in INTERVAL)
    return Figure(number(value, 3), interval(low, high, 3))


def _change(row: Row, name: str) -> Figure:
    value, low, high = (row[name + end] for end in INTERVAL)
    return Figure(signed(value), interval(low, high, sign=True), clear=low > 0 or high < 0)

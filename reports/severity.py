"""How detectors hold up as a corruption grows: a curve for each corruption, and the mean drop from clean images.

The mean drop over severities, then over corruptions, follows the mean corruption error of Hendrycks and Dietterich
(2019, arXiv 1903.12261), as a difference of AUROC and of balanced accuracy rather than a ratio of errors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, cast

import pandas as pd

from orchestrator.plan.cells import Cell, Stage
from reports.frames import INTERVAL, Row, interval_columns
from reports.results import Model, Results
from reports.selection import SOURCE_ONLY
from reports.statistics import Estimate, mean
from reports.tables import Figure, Table, interval, number, rows_of, signed
from trainables.registry import CORRUPTIONS

CURVE_METRICS = ("auroc", "balanced_accuracy")
SCOPES = ("across", "in_dataset")
"""Off-diagonal pairs, each model on its target; and every model on the generator that its detector was trained on."""
ALL = "all"
"""In place of a corruption's name: the mean over corruptions, each counting once."""

_KEYS = ("plan", "selection", "detector", "adaptation", "corruption", "scope")
SEVERITIES = (
    *(*_KEYS, "kind", "parameter", "unit", "step", "severity", "variant", "tests", "tests_planned"),
    *(metric + end for metric in CURVE_METRICS for end in INTERVAL),
)
DROPS = (
    *(*_KEYS, "severities", "tests", "tests_planned"),
    *(name + end for metric in CURVE_METRICS for name in (f"clean_{metric}", f"drop_{metric}") for end in INTERVAL),
)

Place = tuple[Model, str]
"""A model, and the generator it is tested on."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The severities of one corruption that differ in nothing else.

    Attributes:
        name: its kind, and the parameters that tell it from others of that kind.
        kind: its registry name.
        parameter: the severity's; empty where it has none.
        unit: of the parameter.
        steps: from mild to strong, a severity (NaN if there is none) and the study's name of the corruption.
    """

    name: str
    kind: str
    parameter: str
    unit: str
    steps: tuple[tuple[float, str], ...]

    @property
    def changes(self) -> bool:
        """Whether it does anything: not the control."""
        return "identity" not in CORRUPTIONS[self.kind].traits


@dataclass(frozen=True, slots=True)
class Line:
    """A detector and method in one scope, with every test whose mean a point of it is."""

    detector: str
    adaptation: str
    scope: str
    places: Sequence[Place]


def curves_of(results: Results) -> tuple[Curve, ...]:
    """The plan's corruptions by what they do, those of one severity included, in the study's order."""
    groups: dict[tuple[str, str], list[tuple[float, str]]] = {}
    others: dict[tuple[str, str], Mapping[str, Any]] = {}
    for variant, cell in _first_cells(results).items():
        rest: dict[str, Any] = dict(cast("Mapping[str, Any]", cell.params["corruption"]))
        severity = rest.pop(CORRUPTIONS[cell.method].load().SEVERITY, None)
        key = (cell.method, str(sorted(rest.items())))
        others[key] = rest
        groups.setdefault(key, []).append((math.nan if severity is None else float(severity), variant))
    return tuple(_curve(key, steps, others) for key, steps in groups.items())


def severity_frame(results: Results, curves: Sequence[Curve]) -> pd.DataFrame:
    """One row a point of a curve of two severities or more; step 0 is the clean images.

    All points of a line are means over the same tests: those that are scored clean and at every severity.
    """
    lines = [(line, curve) for line in _lines(results) for curve in curves if len(curve.steps) > 1]
    return pd.DataFrame(
        [row for line, curve in lines for row in _points(results, line, curve)], columns=list(SEVERITIES)
    )


def drop_frame(results: Results, curves: Sequence[Curve]) -> pd.DataFrame:
    """One row a corruption: its mean drop over severities; and one for ``all``, the mean over those that do anything.

    A drop is the clean figure minus the corrupted one, on the same images and seeds.
    """
    rows: list[Row] = []
    for line in _lines(results):
        found = {curve: _drops(results, _known(results, line.places, curve), curve) for curve in curves}
        rows += [_drop_row(results, line, curve, *drops) for curve, drops in found.items()]
        changes = [drops for curve, (_, drops) in found.items() if curve.changes]
        if len(changes) > 1 and all(changes):
            every = {metric: mean([drops[metric] for drops in changes]) for metric in CURVE_METRICS}
            rows.append(_keys(results, line, ALL) | _columns("drop_", every))
    return pd.DataFrame(rows, columns=list(DROPS))


def drop_table(drops: pd.DataFrame, detector: str) -> Table:
    """The mean drops of a detector's methods as changes, one row a corruption and method."""
    ours = drops[drops["detector"] == detector]
    rows = []
    for names in product(dict.fromkeys(ours["corruption"]), dict.fromkeys(ours["adaptation"])):
        part = ours[(ours["corruption"] == names[0]) & (ours["adaptation"] == names[1])]
        by_scope = {row["scope"]: row for row in rows_of(part)}
        severities = [f"{row['severities']:.0f}" for row in by_scope.values() if row["corruption"] != ALL]
        changes = (_change(by_scope.get(scope), metric) for scope in SCOPES for metric in CURVE_METRICS)
        rows.append((names, (Figure(severities[0] if severities else ""), *changes)))
    columns = ("AUROC", "balanced accuracy", "AUROC in-dataset", "balanced accuracy in-dataset")
    return Table(("corruption", "method", "severities", *columns), tuple(rows), heads=2)


def _first_cells(results: Results) -> dict[str, Cell]:
    found: dict[str, Cell] = {}
    for cell in results.of(Stage.SCORE):
        if cell.tags.variant:
            found.setdefault(cell.tags.variant, cell)
    return found


def _curve(
    key: tuple[str, str], steps: list[tuple[float, str]], others: Mapping[tuple[str, str], Mapping[str, Any]]
) -> Curve:
    kind, _ = key
    alike = [rest for (other, _), rest in others.items() if other == kind]
    own = [(name, value) for name, value in others[key].items() if any(rest[name] != value for rest in alike)]
    telling = ", ".join(f"{name} {value}" for name, value in own if value is not None)
    name = f"{kind} ({telling})" if telling else kind
    member = CORRUPTIONS[kind].load()
    ordered = sorted(steps, key=lambda step: abs(step[0] - member.NEUTRAL)) if member.SEVERITY else steps
    return Curve(name, kind, member.SEVERITY, member.UNIT, tuple(ordered))


def _lines(results: Results) -> Iterator[Line]:
    """Every detector, method and scope with what it is tested on; those of nothing are left out."""
    for detector, ours in results.alone.items():
        for adaptation, scope in product(ours.adaptations if ours.variants else (), SCOPES):
            places = _places(ours, detector, adaptation, scope)
            if places:
                yield Line(detector, adaptation, scope, places)


def _places(results: Results, detector: str, adaptation: str, scope: str) -> list[Place]:
    if scope == "in_dataset" and adaptation == SOURCE_ONLY:
        return [(results.entry(detector, adaptation, s, t), t) for s, t in results.diagonal]
    models = [results.entry(detector, adaptation, s, t) for s, t in results.pairs]
    if scope == "across":
        return [(model, target) for model, (_, target) in zip(models, results.pairs, strict=True)]
    return [(model, test) for model in models for test in results.own(model.source)]


def _known(results: Results, places: Sequence[Place], curve: Curve) -> list[Place]:
    """The tests that are scored clean and at every severity, by the same seeds."""
    return [place for place in places if _whole(results, place, curve)]


def _whole(results: Results, place: Place, curve: Curve) -> bool:
    clean = results.by_seed(*place, "auroc")
    defined = any(math.isfinite(estimate.value) for estimate in clean.values())
    return defined and all(results.by_seed(*place, "auroc", v).keys() == clean.keys() for _, v in curve.steps)


def _figures(results: Results, places: Sequence[Place], variant: str) -> dict[str, Estimate]:
    """Means over the places, all of them scored; empty where there are none."""
    if not places:
        return {}
    auroc, fake, real = (
        mean([found for place in places if (found := results.at(*place, metric, variant))])
        for metric in ("auroc", "fake_to_real", "real_to_fake")
    )
    # Balanced accuracy is the mean recall of both classes.
    balanced = Estimate(1 - (fake.value + real.value) / 2, 1 - (fake.draws + real.draws) / 2)
    return {"auroc": auroc, "balanced_accuracy": balanced}


def _drops(
    results: Results, places: Sequence[Place], curve: Curve
) -> tuple[Mapping[str, Estimate], Mapping[str, Estimate]]:
    """The clean figures, and these minus their mean over the severities."""
    clean = _figures(results, places, "")
    corrupted = [_figures(results, places, variant) for _, variant in curve.steps]
    # The same images are drawn clean and corrupted: the difference is paired.
    return clean, {metric: clean[metric] - mean([figures[metric] for figures in corrupted]) for metric in clean}


def _points(results: Results, line: Line, curve: Curve) -> Iterator[Row]:
    known = _known(results, line.places, curve)
    common = _keys(results, line, curve.name) | _counts(known, line)
    common |= {"kind": curve.kind, "parameter": curve.parameter, "unit": curve.unit}
    for step, (severity, variant) in enumerate(((math.nan, ""), *curve.steps)):
        place = {"step": step, "severity": severity, "variant": variant}
        yield common | place | _columns("", _figures(results, known, variant))


def _drop_row(
    results: Results, line: Line, curve: Curve, clean: Mapping[str, Estimate], drops: Mapping[str, Estimate]
) -> Row:
    counts = _counts(_known(results, line.places, curve), line) | {"severities": len(curve.steps)}
    return _keys(results, line, curve.name) | counts | _columns("clean_", clean) | _columns("drop_", drops)


def _keys(results: Results, line: Line, corruption: str) -> Row:
    values = (results.plan, results.selection, line.detector, line.adaptation, corruption, line.scope)
    return dict(zip(_KEYS, values, strict=True))


def _counts(known: Sequence[Place], line: Line) -> Row:
    return {"tests": len(known), "tests_planned": len(line.places)}


def _columns(prefix: str, found: Mapping[str, Estimate]) -> Row:
    columns = (interval_columns(prefix + metric, found.get(metric)) for metric in CURVE_METRICS)
    return {name: value for each in columns for name, value in each.items()}


def _change(row: Row | None, metric: str) -> Figure:
    if row is None:
        return Figure(number(math.nan), clear=False)
    value, low, high = (row[f"drop_{metric}{end}"] for end in INTERVAL)
    return Figure(signed(-value), interval(-high, -low, sign=True), clear=low > 0 or high < 0)

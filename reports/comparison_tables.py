"""The comparison of methods as the page shows it: gains with their intervals, and nothing claimed within one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from reports.frames import INTERVAL, Row
from reports.tables import MISSING, Figure, Table, duration, interval, number, rows_of, signed

NO_GAIN = "no gain claimed"


def comparison_table(
    comparison: pd.DataFrame,
    gains: pd.DataFrame,
    recoveries: pd.DataFrame,
    detector: str,
    baselines: Sequence[str],
    control: str = "",
) -> Table:
    """One row a method, sorted by its mean gain; what its intervals allow to be claimed stands beside its name."""
    ours = comparison[comparison["detector"] == detector]
    means = gains[gains["scope"] == "mean"]
    of_auroc, of_accuracy = (_known(means[means["metric"] == metric], detector) for metric in ("auroc", "accuracy"))
    shares = {row["adaptation"]: row for row in rows_of(_of(recoveries, detector, "mean"))}
    rows = []
    for name, part in ours.groupby("adaptation", sort=False):
        found = {row["baseline"]: row for row in rows_of(part)}
        figures = [figure for each in baselines for figure in (_gain(found.get(each)), _won(found.get(each)))]
        controlled = of_accuracy.get((str(name), control))
        figures += [_gain(controlled)] if control else []
        figures.append(_gain(of_auroc.get((str(name), baselines[0]))))
        figures += [_share(shares[str(name)])] if shares else []
        first = next(iter(found.values()))
        rows.append(
            ((str(name), verdict(found, baselines) + _beyond(controlled)), (*figures, _on_source(first), _cost(first)))
        )
    over = (head for each in baselines for head in (f"accuracy over {each}", "won / tied / lost"))
    over_control = (f"accuracy over {control}",) if control else ()
    columns = (
        "method",
        "finding",
        *over,
        *over_control,
        f"AUROC over {baselines[0]}",
        *(["recovery"] if shares else []),
    )
    return Table((*columns, "on its own source", "cost a model"), tuple(rows), heads=2)


def verdict(rows: dict[str, Row], baselines: Sequence[str]) -> str:
    """What may be said of a method's mean gains over the baselines: only what an interval that excludes 0 says."""
    clear = {name: rows[name]["gain"] > 0 for name in baselines if name in rows and rows[name]["clear"]}
    better, worse = ([name for name in clear if clear[name] is gains] for gains in (True, False))
    said = [f"gains over {_all_of(better)}"] if better else []
    said += [f"loses to {_all_of(worse)}"] if worse else []
    labels = ["reads target labels"] if any(row["target_labels"] for row in rows.values()) else []
    return "; ".join([*(said or [NO_GAIN]), *labels])


def pair_gain_table(gains: pd.DataFrame, detector: str, baselines: Sequence[str]) -> Table:
    """The gains of a detector's methods, one row a pair."""
    ours = _of(gains, detector, "pair")
    keys = [(metric, baseline) for metric in ("accuracy", "auroc") for baseline in baselines]
    names = tuple(f"{'AUROC' if metric == 'auroc' else metric} over {baseline}" for metric, baseline in keys)
    rows = []
    for place, part in ours.groupby(["source", "target", "adaptation"], sort=False):
        known = {(row["metric"], row["baseline"]): row for row in rows_of(part)}
        rows.append((tuple(str(name) for name in place), tuple(_gain(known.get(key)) for key in keys)))
    return Table(("trained on", "adapted to", "method", *names), tuple(rows), heads=3)


def recovery_table(recoveries: pd.DataFrame, detector: str) -> Table | None:
    """One row a pair and one for the mean: the oracle's accuracy, shaded, and each method's share of the gap to it."""
    ours = _of(recoveries, detector, "pair")
    if ours.empty:
        return None
    oracle = str(ours["oracle"].iloc[0])
    methods = list(dict.fromkeys(ours["adaptation"]))
    rows = []
    for place, part in ours.groupby(["source", "target"], sort=False):
        known = {row["adaptation"]: row for row in rows_of(part)}
        first = next(iter(known.values()))
        ends = (Figure(number(first["source_only"])), Figure(number(first["bound"])), Figure(signed(first["gap"])))
        shares = (_share(known[name]) if name in known else Figure(MISSING, clear=False) for name in methods)
        rows.append((tuple(str(name) for name in place), (*ends, *shares)))
    means = {row["adaptation"]: row for row in rows_of(_of(recoveries, detector, "mean"))}
    blank = (Figure(""),) * 3
    rows.append((("mean of the defined", ""), (*blank, *(_share(means[name]) for name in methods))))
    columns = ("trained on", "adapted to", "source_only", oracle, "gap", *methods)
    return Table(columns, tuple(rows), heads=2, shaded=frozenset({oracle}))


def _beyond(controlled: Row | None) -> str:
    """A mark on what is not shown to gain more than further training that merely sees target images."""
    if controlled is None or (controlled["clear"] and controlled["gain"] > 0):
        return ""
    return f"; not beyond {controlled['baseline']}"


def _all_of(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else "both"


def _of(frame: pd.DataFrame, detector: str, scope: str) -> pd.DataFrame:
    return frame[(frame["detector"] == detector) & (frame["scope"] == scope)]


def _known(means: pd.DataFrame, detector: str) -> dict[tuple[str, str], Row]:
    rows = rows_of(means[means["detector"] == detector])
    return {(row["adaptation"], row["baseline"]): row for row in rows}


def _gain(row: Row | None) -> Figure:
    if row is None:
        return Figure(MISSING, clear=False)
    value, low, high = (row["gain" + end] for end in INTERVAL)
    return Figure(signed(value), interval(low, high, sign=True), clear=row["clear"])


def _won(row: Row | None) -> Figure:
    if row is None:
        return Figure(MISSING, clear=False)
    tested = f"p {_p_value(row['p_holm'])}" if math.isfinite(row["p_holm"]) else ""
    return Figure(f"{row['wins']} / {row['ties']} / {row['losses']}", tested)


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {number(p, 3)}"


def _share(row: Row) -> Figure:
    value, low, high = (row["recovery" + end] for end in INTERVAL)
    if math.isfinite(value):
        part = f", {row['pairs']} of {row['pairs_planned']}" if row["pairs"] < row["pairs_planned"] else ""
        return Figure(number(value), interval(low, high) + part, clear=not low <= 0 <= high)
    small = "no pair" if row["scope"] == "mean" else "gap too small"
    return Figure("", small, clear=False)


def _on_source(row: Row) -> Figure:
    return Figure(number(row["on_source"]), signed(row["on_source_change"]) if math.isfinite(row["on_source"]) else "")


def _cost(row: Row) -> Figure:
    if not math.isfinite(row["seconds"]):
        return Figure(MISSING)
    return Figure(duration(row["seconds"]), f"{row['images']:,.0f} images".replace(",", "\u202f"))

"""What a study found, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from reports.frames import Row
from reports.results import RECALIBRATE, SOURCE_ONLY, Results
from reports.tables import interval, number, percent, rows_of, signed


def headline(results: Results, summary: pd.DataFrame, gains: pd.DataFrame, detector: str) -> list[str]:
    """What a reader should take away: how a detector does and fails, and what helps.

    The detector's name is to stand before the first sentence.
    """
    clean = summary[(summary["detector"] == detector) & (summary["variant"] == "")]
    rows = {row["adaptation"]: row for row in rows_of(clean)}
    plain = rows[SOURCE_ONLY]
    if plain["pairs"]:
        first = _failure(plain)
    elif math.isfinite(plain["in_dataset"]):
        first = f"is right on {percent(plain['in_dataset'])} of the test images of the generator it was trained on."
    else:
        return ["has no scores yet."]
    return [sentence for sentence in (first, _best(results, gains, detector)) if sentence]


def _failure(plain: Row) -> str:
    ends = interval(100 * plain["accuracy_low"], 100 * plain["accuracy_high"], 1)
    across = percent(plain["accuracy"]) + (f" [{ends}]" if ends else "")
    inside = plain["in_dataset"]
    own = f"{percent(inside)} of the test images of the generator it was trained on, and on " * math.isfinite(inside)
    return (
        f"is right on {own}{across} of the other generators': there it takes {percent(plain['fake_to_real'])} of the"
        f" fakes for real and {percent(plain['real_to_fake'])} of the real images for fake"
        f" (AUROC {number(plain['auroc'])})."
    )


def _best(results: Results, gains: pd.DataFrame, detector: str) -> str:
    """The method with the largest mean gain that is clear over every baseline, or that there is none."""
    ours = gains[(gains["detector"] == detector) & (gains["metric"] == "accuracy") & (gains["scope"] == "mean")]
    by_method = {
        name: {row["baseline"]: row for row in rows_of(ours[ours["adaptation"] == name])}
        for name in results.adaptations
        if name not in results.baselines
    }
    compared = {name: rows for name, rows in by_method.items() if set(rows) == set(results.baselines)}
    if not compared:
        return ""
    helpful = {
        name: rows for name, rows in compared.items() if all(row["clear"] and row["gain"] > 0 for row in rows.values())
    }
    if not helpful:
        over = " and ".join(_called(name) for name in results.baselines)
        both = "both " if len(results.baselines) > 1 else ""
        return f"No method beats {both}{over} beyond its 95 % interval, averaged over the pairs of generators."
    best = max(helpful, key=lambda name: min(float(row["gain"]) for row in helpful[name].values()))
    return _praise(best, [helpful[best][name] for name in results.baselines])


def _praise(method: str, rows: Sequence[Row]) -> str:
    last = rows[-1]
    share = "" if last["pairs"] == last["pairs_planned"] else f" on the {last['pairs']} pairs done so far"
    ends = [interval(row["gain_low"], row["gain_high"], sign=True) for row in rows]
    gains = [
        f"{signed(row['gain'])} [{end}] over {_called(row['baseline'])}" for row, end in zip(rows, ends, strict=True)
    ]
    return (
        f"Of the methods, {method} helps most: accuracy {number(last['value'], 3)} across generators{share},"
        f" {' and '.join(gains)}."
    )


def _called(baseline: str) -> str:
    return "the source detector" if baseline == SOURCE_ONLY else f"moving the threshold alone ({baseline})"


def unbalanced(results: Results) -> str:
    """A warning where real and fake test images are far from equal in number; else nothing."""
    shares = {round(float(scores.fake.mean()), 3) for scores in results.scores.values()}
    if not shares or all(0.4 <= share <= 0.6 for share in shares):
        return ""
    low, high = percent(min(shares)), percent(max(shares))
    return (
        f"The test sets are {low if low == high else f'{low} to {high}'} fake: accuracy favours the larger class."
        " Read it with both error rates and AUROC."
    )


def how_intervals() -> str:
    """How the intervals are made, for the notes."""
    return (
        "Intervals are 95 % percentile bootstrap intervals over the test images (2000 draws, stratified by"
        " generator and by source of real images). All models are resampled together, so a gain is a paired difference"
        f" on the same images and seeds. With three seeds or more the seeds are resampled too. {RECALIBRATE} is a"
        " baseline because it only moves the threshold. Pairs of generators are not resampled: a mean speaks"
        " of these generators only. Nor are intervals widened for the number of comparisons: about one in twenty is"
        " clear by chance."
    )

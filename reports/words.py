"""What a study found, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from orchestrator.study.spaces import OUTSIDE
from reports.frames import Row
from reports.ranks import FEWEST_METHODS, FEWEST_PAIRS, Ranking
from reports.results import RECALIBRATE, Results
from reports.selection import ORACLE, SOURCE_ONLY, SOURCE_VAL
from reports.statistics import LEVEL, SEEDS_TO_RESAMPLE
from reports.tables import interval, number, percent, rows_of, signed


def headline(results: Results, summary: pd.DataFrame, gains: pd.DataFrame, detector: str) -> list[str]:
    """What a reader should take away: how a detector does and fails, and what helps.

    The detector's name is to stand before the first sentence.
    """
    clean = summary[(summary["detector"] == detector) & (summary["variant"] == "")]
    rows = {row["adaptation"]: row for row in rows_of(clean)}
    plain = rows[SOURCE_ONLY]
    if plain["pairs"]:
        first = _failure(plain, results.sources)
    elif math.isfinite(plain["in_dataset"]):
        first = f"is right on {percent(plain['in_dataset'])} of the test images of the generator it was trained on."
    else:
        return ["has no scores yet."]
    return [sentence for sentence in (first, _best(results, gains, detector)) if sentence]


def _failure(plain: Row, sources: Sequence[str]) -> str:
    ends = interval(100 * plain["accuracy_low"], 100 * plain["accuracy_high"], 1)
    across = percent(plain["accuracy"]) + (f" [{ends}]" if ends else "")
    inside = plain["in_dataset"]
    whose = "all generators' test images" if OUTSIDE in sources else "the other generators'"
    own = f"{percent(inside)} of the test images of the generator it was trained on, and on " * math.isfinite(inside)
    return (
        f"is right on {own}{across} of {whose}: there it takes {percent(plain['fake_to_real'])} of the"
        f" fakes for real and {percent(plain['real_to_fake'])} of the real images for fake"
        f" (AUROC {number(plain['auroc'])})."
    )


def _best(results: Results, gains: pd.DataFrame, detector: str) -> str:
    """The method with the largest mean gain that is clear over every baseline, or that there is none."""
    means = _mean_gains(gains, detector)
    ours = means[means["baseline"].isin(results.baselines)]
    by_method = {
        name: {row["baseline"]: row for row in rows_of(ours[ours["adaptation"] == name])}
        for name in results.adaptations
        if name not in (*results.baselines, results.control)
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
    unlabelled = {name: rows for name, rows in helpful.items() if name not in results.labelled}
    named = unlabelled or helpful  # a method that needs no labels, if any of these helps
    best = max(named, key=lambda name: min(float(row["gain"]) for row in named[name].values()))
    of = " without labels of the target" if unlabelled and results.labelled & compared.keys() else ""
    if results.selection == ORACLE:
        of = ", chosen by labels of the target"
    reads = "" if unlabelled else ", with labels of the target,"
    said = _praise([named[best][name] for name in results.baselines])
    beyond = rows_of(means[(means["adaptation"] == best) & (means["baseline"] == results.control)])
    within = any(not (row["clear"] and row["gain"] > 0) for row in beyond)
    control = f" It is not shown to gain beyond {results.control}." if within else ""
    return f"Of the methods{of}, {best}{reads} helps most: {said}.{control}"


def over_control(gains: pd.DataFrame, detector: str, baselines: Sequence[str], control: str) -> str:
    """What else a method is to be compared with, and which are not shown to gain beyond it; "" without a control."""
    if not control:
        return ""
    means = _mean_gains(gains, detector)
    ours = rows_of(means[(means["baseline"] == control) & ~means["adaptation"].isin(baselines)])
    within = [str(row["adaptation"]) for row in ours if not (row["clear"] and row["gain"] > 0)]
    beyond = f"Not shown to gain beyond it: {', '.join(within)}." if within else "All methods gain beyond it."
    return (
        f"{control} is the control: the source training goes on, and target images merely pass through BatchNorm. A"
        f" method that trains on both domains has that much of seeing them alone. {beyond if ours else ''}".rstrip()
    )


def chosen_by(rule: str) -> str:
    """Whose choice the checkpoints of every table are."""
    if rule == SOURCE_VAL:
        return f"Checkpoints chosen by {rule}."
    labels = ", that is by labels of the target: an upper bound" if rule == ORACLE else ""
    return f"Adapted checkpoints chosen by {rule}{labels}; source detectors by {SOURCE_VAL}."


def _mean_gains(gains: pd.DataFrame, detector: str) -> pd.DataFrame:
    return gains[(gains["detector"] == detector) & (gains["metric"] == "accuracy") & (gains["scope"] == "mean")]


def _praise(rows: Sequence[Row]) -> str:
    last = rows[-1]
    share = "" if last["pairs"] == last["pairs_planned"] else f" on the {last['pairs']} pairs done so far"
    ends = [interval(row["gain_low"], row["gain_high"], sign=True) for row in rows]
    gains = [
        f"{signed(row['gain'])} [{end}] over {_called(row['baseline'])}" for row, end in zip(rows, ends, strict=True)
    ]
    return f"accuracy {number(last['value'], 3)} across generators{share}, {' and '.join(gains)}"


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


def how_intervals(results: Results) -> str:
    """How the intervals are made, for the notes."""
    return (
        "Intervals are 95 % percentile bootstrap intervals over the test images (2000 draws, stratified by"
        " generator and by source of real images). All models are resampled together, so a gain is a paired difference"
        f" on the same images and seeds. From {SEEDS_TO_RESAMPLE} seeds on, these are resampled first, then the images,"
        f" which all seeds share. {seeds_covered(_seeds(results))} {RECALIBRATE} is a"
        " baseline because it only moves the threshold. Pairs of generators are not resampled: a mean speaks"
        " of these generators only. Nor are intervals widened for the number of comparisons: about one in twenty is"
        " clear by chance."
    )


def seeds_covered(counts: Iterable[int]) -> str:
    """Whether intervals hold over trainings or over test images alone.

    Args:
        counts: the numbers of seeds that they are averaged over.
    """
    found = sorted(set(counts))
    if not found:
        return ""
    if found[-1] < SEEDS_TO_RESAMPLE:
        few = "There is one seed" if found[-1] == 1 else f"{found[-1]} seeds are too few to resample"
        return f"{few}: intervals hold over test images only, not over trainings."
    enough = [count for count in found if count >= SEEDS_TO_RESAMPLE]
    span = f"{enough[0]}" if len(enough) == 1 else f"{enough[0]} to {enough[-1]}"
    part = "" if enough == found else " Where there are fewer than three, they hold over test images only."
    holds = 1 - 2 ** (1 - enough[0])
    narrow = (
        f" Resampled seeds stay within their range, and that of {enough[0]} trainings holds the mean of all such"
        f" trainings in {percent(holds)} of cases."
    )
    return f"Intervals hold over {span} seeds and over test images.{narrow if holds < LEVEL else ''}{part}"


def rank_words(ranking: Ranking | None, pairs: int, methods: int, comparisons: int) -> str:
    """What the tests over pairs say and on what they stand, or why there are none."""
    if pairs < FEWEST_PAIRS:
        return (
            f"No signed-rank tests and no critical-difference diagram: {pairs} pairs of generators that all methods are"
            f" done on are too few, {FEWEST_PAIRS} are needed."
        )
    signed_ranks = (
        f"p is of Wilcoxon's signed-rank test over the pairs, two-sided, corrected by Holm for all {comparisons}"
        " comparisons of the table."
    )
    if ranking is None:
        found = f"No critical-difference diagram: {methods} methods are too few, {FEWEST_METHODS} are needed."
    else:
        p = "below 0.001" if ranking.p < 0.001 else number(ranking.p, 3)
        reading = "the methods differ" if ranking.differs else "no difference of the methods is shown, nor by the bars"
        found = (
            f"Friedman's test of {methods} methods over {pairs} pairs: chi-squared {number(ranking.statistic)}, p {p}:"
            f" {reading}."
        )
    return f"{signed_ranks} {found} {CORRELATED}"


CORRELATED = (
    "The cells of one grid are correlated: pairs share source detectors, generators and real images, so they count for"
    " fewer than as many independent data sets, and these p-values are too small."
)


def _seeds(results: Results) -> set[int]:
    """How many seeds stand behind each entry of the matrices that is known."""
    places = (
        (results.entry(d, a, s, t), t) for d in results.detectors for a in results.adaptations for s, t in results.pairs
    )
    return {len(found) for place in places if (found := results.by_seed(*place, "accuracy"))}

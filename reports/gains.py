"""What each method gains over each baseline: image by image, seed by seed, pair by pair, and on average."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from reports.frames import Row, interval_columns, origin
from reports.results import Results
from reports.selection import SOURCE_ONLY
from reports.statistics import Estimate, mean

GAIN_METRICS = ("accuracy", "auroc")
GAINS = (
    *("plan", "selection", "detector", "adaptation", "baseline", "metric", "scope", "source", "target"),
    *("pairs", "pairs_planned", "seeds", "value", "baseline_value", "gain", "gain_low", "gain_high", "clear"),
)


def gains_frame(results: Results) -> pd.DataFrame:
    """Each method's gain over each baseline and the control: for every off-diagonal pair, and the mean over them.

    A gain pairs the same seeds and the same images. ``clear`` says that the interval excludes 0; a gain that is not
    clear is none. ``seeds`` is the number that it is averaged over, of a mean the smallest of its pairs'.
    """
    rows: list[Row] = []
    for detector, ours in results.alone.items():
        for adaptation in ours.adaptations:
            for baseline in filter(None, (*ours.baselines, ours.control)):
                if adaptation not in (SOURCE_ONLY, baseline):
                    for metric in GAIN_METRICS:
                        rows += _gain_rows(ours, detector, adaptation, baseline, metric)
    return pd.DataFrame(rows, columns=list(GAINS))


def _gain_rows(results: Results, detector: str, adaptation: str, baseline: str, metric: str) -> Iterator[Row]:
    gains: list[tuple[Estimate, Estimate, Estimate]] = []
    seeds: list[int] = []
    common = {"detector": detector, "adaptation": adaptation, "baseline": baseline, "metric": metric}
    for source, target in results.pairs:
        ours, theirs = (results.entry(detector, name, source, target) for name in (adaptation, baseline))
        gain = results.difference((ours, target, ""), (theirs, target, ""), metric)
        values = results.at(ours, target, metric), results.at(theirs, target, metric)
        if gain and values[0] and values[1]:
            gains.append((gain, values[0], values[1]))
            seeds.append(len(results.common_seeds((ours, target, ""), (theirs, target, ""))))
            place = {"scope": "pair", "source": source, "target": target, "pairs": 1, "pairs_planned": 1}
            place["seeds"] = seeds[-1]
            yield origin(results) | common | place | _gain_columns(gain, values[0].value, values[1].value)
    if gains:
        gain, ours_mean, theirs_mean = (mean(estimates) for estimates in zip(*gains, strict=True))
        place = {"scope": "mean", "pairs": len(gains), "pairs_planned": len(results.pairs), "seeds": min(seeds)}
        yield origin(results) | common | place | _gain_columns(gain, ours_mean.value, theirs_mean.value)


def _gain_columns(gain: Estimate, value: float, baseline_value: float) -> Row:
    columns = {"value": value, "baseline_value": baseline_value, "clear": gain.clear}
    return columns | interval_columns("gain", gain)

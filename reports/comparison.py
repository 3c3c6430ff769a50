"""Which method helps: gains over the pairs of generators with what they cost, and how much of the gap is closed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from orchestrator.plan.cells import Stage
from orchestrator.store.records import Record, Status
from reports.frames import INTERVAL, Row, interval_columns, origin
from reports.ranks import FEWEST_METHODS, FEWEST_PAIRS, Ranking, holm, rank_methods, signed_rank
from reports.results import Results
from reports.selection import SOURCE_ONLY
from reports.statistics import Estimate, mean
from reports.tables import rows_of

SMALLEST_GAP = 0.05
"""Accuracy by which the oracle must exceed the source detector for a share of that to mean anything."""

_KEYS = ("plan", "selection", "detector", "adaptation")
COMPARISON = (
    *(*_KEYS, "target_labels", "baseline", "pairs", "pairs_planned", "seeds", *("gain" + end for end in INTERVAL)),
    *("clear", "wins", "ties", "losses", "p", "p_holm"),
    *("on_source", "on_source_change", "seconds", "images"),
)
RECOVERY = (
    *(*_KEYS, "oracle", "scope", "source", "target", "pairs", "pairs_planned", "seeds"),
    *("source_only", "value", "bound", "gap", *("recovery" + end for end in INTERVAL)),
)


def comparison_frame(results: Results, gains: pd.DataFrame) -> pd.DataFrame:
    """One row a method and baseline: its mean gain in accuracy over the off-diagonal pairs, and what it costs.

    Methods are sorted by their mean gain over the first baseline. A pair is won or lost where the interval of its own
    gain excludes 0, else tied; one without an interval is none of these. ``p`` is of Wilcoxon's signed-rank test over
    the pairs, where there are enough, and ``p_holm`` is corrected for all rows of the detector. ``on_source`` is the
    accuracy on the test images of the generator a model was trained on, ``on_source_change`` that minus the source
    detector's: of the ledger's figures, and missing where no source is a test generator. ``seconds`` and ``images``
    are means over the method's models.
    """
    ours = gains[(gains["metric"] == "accuracy") & gains["baseline"].isin(results.baselines)]
    rows: list[Row] = []
    for detector in results.detectors:
        part = ours[ours["detector"] == detector]
        means = rows_of(part[part["scope"] == "mean"])
        found = [_comparison_row(results, row, part[part["scope"] == "pair"]) for row in means]
        tested = [row for row in found if "p" in row]
        for row, corrected in zip(tested, holm([row["p"] for row in tested]), strict=True):
            row["p_holm"] = corrected
        first = {row["adaptation"]: row["gain"] for row in reversed(found)}  # the first baseline comes last
        rows += sorted(found, key=lambda row: -first[row["adaptation"]])
    return pd.DataFrame(rows, columns=list(COMPARISON))


def recovery_frame(results: Results) -> pd.DataFrame:
    """One row a method and pair, and their mean: the share of the gap to the oracle that the method closes.

    ``(method - source_only) / (oracle - source_only)`` in accuracy, on the seeds that all three have: 1 is as good as
    training on the target's labels. Undefined where the gap is below ``SMALLEST_GAP``; a draw's gap counts as that at
    least. Of several oracles, the study's first is the bound; without one the table is empty.
    """
    rows: list[Row] = []
    for detector, ours in results.alone.items():
        for adaptation in ours.adaptations if ours.oracles else ():
            if adaptation != SOURCE_ONLY:
                rows += _recovery_rows(ours, detector, adaptation, ours.oracles[0])
    return pd.DataFrame(rows, columns=list(RECOVERY))


def ranking(results: Results, detector: str) -> tuple[Ranking | None, int, int]:
    """The methods' ranks by accuracy over the pairs that all of them have; None where there are too few of either.

    Returns:
        The ranking, the number of such pairs, and of methods.
    """
    known: dict[str, dict[tuple[str, str], float]] = {}
    for adaptation in results.adaptations:
        for source, target in results.pairs:
            found = results.at(results.entry(detector, adaptation, source, target), target, "accuracy")
            if found:
                known.setdefault(adaptation, {})[source, target] = found.value
    common = [pair for pair in results.pairs if known and all(pair in values for values in known.values())]
    enough = len(common) >= FEWEST_PAIRS and len(known) >= FEWEST_METHODS
    values = {name: [of_pair[pair] for pair in common] for name, of_pair in known.items()}
    return (rank_methods(values) if enough else None), len(common), len(known)


def _comparison_row(results: Results, row: Row, pairs: pd.DataFrame) -> Row:
    detector, adaptation = row["detector"], row["adaptation"]
    ours = pairs[(pairs["adaptation"] == adaptation) & (pairs["baseline"] == row["baseline"])]
    told = ours[ours["gain_low"].notna()]
    clear = told["clear"].astype(bool)
    found: Row = {
        **{name: row[name] for name in COMPARISON if name in row},
        "target_labels": adaptation in results.labelled,
        "wins": int((clear & (told["gain"] > 0)).sum()),
        "ties": int((~clear).sum()),
        "losses": int((clear & (told["gain"] < 0)).sum()),
        **_on_source(results, detector, adaptation),
        **_cost(results, detector, adaptation),
    }
    if len(ours) >= FEWEST_PAIRS:
        found["p"] = signed_rank(ours["gain"].tolist())
    return found


def _on_source(results: Results, detector: str, adaptation: str) -> Row:
    values, changes = [], []
    for source, target in results.pairs:
        model = results.entry(detector, adaptation, source, target)
        plain = results.entry(detector, SOURCE_ONLY, source, source)
        for test in results.own(source):
            after = results.at(model, test, "accuracy")
            change = results.difference((model, test, ""), (plain, test, ""), "accuracy")
            if after and change:
                values.append(after.value)
                changes.append(change.value)
    return {"on_source": np.mean(values), "on_source_change": np.mean(changes)} if values else {}


def _cost(results: Results, detector: str, adaptation: str) -> Row:
    records = [
        record
        for cell in results.of(Stage.ADAPT)
        if (cell.tags.detector, cell.tags.adaptation) == (detector, adaptation)
        if (record := _done(results.records.get(cell.id)))
    ]
    if not records:
        return {}
    return {name: float(np.mean([getattr(record, name) for record in records])) for name in ("seconds", "images")}


def _done(record: Record | None) -> Record | None:
    return record if record and record.status is Status.DONE else None


def _recovery_rows(results: Results, detector: str, adaptation: str, oracle: str) -> Iterator[Row]:
    known: list[Estimate] = []
    common = {**origin(results), "detector": detector, "adaptation": adaptation, "oracle": oracle}
    seeds: list[int] = []
    for source, target in results.pairs:
        row, found = _recovery(results, detector, (adaptation, SOURCE_ONLY, oracle), source, target)
        if row:
            yield common | {"scope": "pair", "source": source, "target": target, "pairs": 1, "pairs_planned": 1} | row
        if found:
            known.append(found)
            seeds.append(row["seeds"])
    counts = {"scope": "mean", "pairs": len(known), "pairs_planned": len(results.pairs), "seeds": min(seeds, default=0)}
    yield common | counts | interval_columns("recovery", mean(known) if known else None)


def _recovery(
    results: Results, detector: str, names: Sequence[str], source: str, target: str
) -> tuple[Row, Estimate | None]:
    """The row of a pair, empty where something is missing, and its recovery, None where it is not defined."""
    ours, plain, bound = ((results.entry(detector, name, source, target), target, "") for name in names)
    seeds = results.common_seeds(ours, plain, bound)
    gain = results.difference(ours, plain, "accuracy", seeds)
    gap = results.difference(bound, plain, "accuracy", seeds)
    if gain is None or gap is None:
        return {}, None
    lowest = float(np.mean([results.by_seed(*plain[:2], "accuracy")[seed].value for seed in seeds]))
    values = {"source_only": lowest, "value": lowest + gain.value, "bound": lowest + gap.value, "gap": gap.value}
    found = recovered(gain, gap)
    return {"seeds": len(seeds), **values, **interval_columns("recovery", found)}, found


def recovered(gain: Estimate, gap: Estimate) -> Estimate | None:
    """The gain as a share of the gap, draw by draw; None where the gap is too small to be shared."""
    if not round(gap.value, 12) >= SMALLEST_GAP:
        return None
    return Estimate(gain.value / gap.value, gain.draws / np.maximum(gap.draws, SMALLEST_GAP))

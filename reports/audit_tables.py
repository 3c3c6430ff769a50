"""The audit's plain tables: what each class is like as it is stored, and how many images of it there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reports.audit_words import Baseline, mean_baseline
from reports.colours import shade
from reports.tables import MISSING, Figure, HeatCell, HeatTable, Table, interval, number, percent
from trainables.auditing.audit import ClassFacts, Findings
from trainables.auditing.trivial import CALLED
from trainables.contract import Split

SHORTCUT = "shortcut"
"""The row that stands below a matrix."""

_SHOWN = 3
"""Categories of a fact that are told, at most."""


def class_table(findings: Findings) -> Table:
    """One row a generator or real source: shares of categories, and medians with their quartiles."""
    columns = ("", "class", "images", "format", "chroma", "EXIF", "width", "height", "width/height")
    rows = tuple(((each.generator, _class(each.label)), tuple(_figures(each))) for each in findings.classes)
    return Table((*columns, "JPEG quality", "bytes/pixel", "mean colour", CALLED["detail"]), rows, heads=2)


def balance_table(findings: Findings) -> Table:
    """Images by generator and split, then by class."""
    splits = [split.value for split in Split]
    rows = [((each.generator, each.family), _counts(each.splits, each.unusable)) for each in findings.classes]
    for label in (0, 1):
        ours = [each for each in findings.classes if each.label == label]
        total = {split: sum(each.splits[split] for each in ours) for split in splits}
        rows.append(((f"all {_class(label)}", ""), _counts(total, sum(each.unusable for each in ours))))
    return Table(("", "family", *splits, "all", "left out"), tuple(rows), heads=2)


def below_matrix(table: HeatTable, baselines: Mapping[str, Baseline]) -> HeatTable:
    """A matrix of AUROCs with the shortcut baselines of its test generators as its last row."""
    if not baselines:
        return table
    row = tuple(_heat_cell(name, baselines.get(name)) for name in table.columns)
    return replace(table, rows=(*table.rows, (SHORTCUT, row)), apart=(*table.apart, SHORTCUT))


def beside_summary(table: Table, baselines: Mapping[str, Baseline], tests: Sequence[str]) -> Table:
    """A detector's summary with the mean of the test generators' shortcut baselines as its last row."""
    over, known = mean_baseline(baselines, tests)
    if over is None:
        return table
    flagged = any(baselines[name].shortcut.flagged for name in tests if name in baselines)
    count = Figure(f"{known} of {len(tests)}", "test generators")
    auroc = Figure(number(over.value), interval(over.low, over.high), flagged=flagged)
    figures = (count, Figure(MISSING), auroc, *[Figure(MISSING)] * (len(table.columns) - 4))
    return replace(table, rows=(*table.rows, (("shortcut baseline",), figures)))


def _heat_cell(name: str, found: Baseline | None) -> HeatCell:
    if found is None or found.estimate is None:
        return HeatCell(MISSING, found.shortcut.reason if found else "not audited", "pending")
    background, ink = shade(found.estimate.value)
    facts = "\n".join(lead.words for lead in found.leads)
    title = f"{name} against its real images by trivial facts alone: {found.text} ({found.ends})\n{facts}".strip()
    return HeatCell(found.text, title, "value", background, ink, flagged=found.shortcut.flagged)


def _counts(splits: Mapping[str, int], unusable: int) -> tuple[Figure, ...]:
    return tuple(Figure(str(count)) for count in (*splits.values(), sum(splits.values()), unusable))


def _figures(facts: ClassFacts) -> list[Figure]:
    quartiles = facts.quartiles
    numbers = [_quartiles(quartiles.get(name)) for name in ("width", "height", "aspect", "quality", "bytes_per_pixel")]
    colour = [number(quartiles[name][1], 0) for name in ("red", "green", "blue") if name in quartiles]
    shares = [_shares(facts.shares[name]) for name in ("format", "chroma")]
    exif = Figure(_percent(facts.shares["exif"].get("yes", 0.0)) if facts.images else MISSING)
    last = _quartiles(quartiles.get("detail"))
    return [Figure(str(facts.images)), *shares, exif, *numbers, Figure("\u00a0".join(colour) or MISSING), last]


def _shares(shares: Mapping[str, float]) -> Figure:
    """The commonest category, and the next in small print."""
    words = [f"{name}\u00a0{_percent(share)}" for name, share in list(shares.items())[:_SHOWN]]
    return Figure(words[0] if words else MISSING, ", ".join(words[1:]))


def _quartiles(values: tuple[float, float, float] | None) -> Figure:
    if values is None:
        return Figure(MISSING)
    low, middle, high = (f"{value:.0f}" if value >= 100 else f"{value:.3g}" for value in values)
    return Figure(middle, "" if low == high else f"{low} to {high}")


def _percent(share: float) -> str:
    return percent(share).replace(" ", "\u00a0")  # not to be broken in a narrow column


def _class(label: int) -> str:
    return "fake" if label else "real"

"""What a reader must not overlook: models that collapsed, forgot, met a degenerate opponent, lacked memory, or lost."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from orchestrator.plan.cells import Cell, Stage
from orchestrator.store.records import IN_PARTS
from reports.frames import Row
from reports.results import Model, Results
from reports.selection import SOURCE_ONLY
from reports.statistics import THRESHOLD
from reports.tables import Figure, Table, interval, number, percent, rows_of, signed

CALLED_FAKE = (0.05, 0.95)
"""Share of test images called fake, outside of which a detector has collapsed if the true share is inside."""

SOURCE_LOST = 0.03
"""Accuracy on the source's test images that an adaptation may cost."""

DISCRIMINATOR, LAST_EPOCHS = 0.99, 2
"""Balanced accuracy of a domain discriminator from which on, in each of so many last epochs, it has won: its loss is
flat there, and teaches the features nothing. At chance it is not degenerate: that is where a game ends whose domains
came together. One epoch alone may be an accident of the game."""

COLLAPSE, LOST, DEGENERATE, PARTED, WORSE, WITHIN = (
    *("collapse", "source accuracy lost", "discriminator degenerate", "batches in parts", "worse than source_only"),
    "gain within its interval",
)
MEANINGS = {
    COLLAPSE: "the share of the generator's own test images called fake is outside {:g} to {:g}".format(*CALLED_FAKE),
    LOST: f"accuracy on the source's test images fell by more than {100 * SOURCE_LOST:g} points",
    DEGENERATE: f"the domain discriminator's accuracy is {DISCRIMINATOR:g} or more in the last {LAST_EPOCHS} epochs",
    PARTED: "memory ran out, and batches were taken in more parts than the study asks for, each normalised alone",
    WORSE: "the interval of the pair's gain in accuracy over source_only lies below 0",
    WITHIN: "the interval of the pair's gain over source_only holds 0: no gain is claimed; for information",
}
ALARMS = ("plan", "detector", "adaptation", "source", "target", "seed", "alarm", "level", "cell", "value", "told")

_DISCRIMINATOR = "discriminator_accuracy"


def alarm_frame(results: Results, gains: pd.DataFrame) -> pd.DataFrame:
    """One row an alarm, by kind and then in the plan's order; ``level`` is ``alarm`` or ``information``.

    ``cell`` is the name of the train or adapt cell, of a gain over several seeds the pattern of all of them. Oracles
    are watched for collapse alone: what they lose on the source, no method could avoid by copying them.
    """
    found = (*_collapses(results), *_lost(results), *_degenerate(results), *_parted(results), *_gains(results, gains))
    rows = [
        {**row, "plan": results.plan, "level": "information" if row["alarm"] == WITHIN else "alarm"} for row in found
    ]
    rows.sort(key=lambda row: list(MEANINGS).index(row["alarm"]))
    return pd.DataFrame(rows, columns=list(ALARMS)).astype({"seed": "Int64"})


def alarm_counts(alarms: pd.DataFrame) -> dict[str, int]:
    """How many there are of each kind, those of none left out."""
    counts = alarms["alarm"].value_counts()
    return {kind: int(counts[kind]) for kind in MEANINGS if kind in counts}


def counts_table(alarms: pd.DataFrame) -> Table:
    """Alarms by method and kind; the last row is all of them."""
    kinds = [kind for kind in MEANINGS if kind in set(alarms["alarm"])]
    methods = list(dict.fromkeys(zip(alarms["detector"], alarms["adaptation"], strict=True)))
    rows = [
        (method, alarms[(alarms["detector"] == method[0]) & (alarms["adaptation"] == method[1])]) for method in methods
    ]
    counted = [
        (names, tuple(Figure(str(int((part["alarm"] == kind).sum()))) for kind in kinds)) for names, part in rows
    ]
    total = tuple(Figure(str(int((alarms["alarm"] == kind).sum()))) for kind in kinds)
    return Table(("detector", "method", *kinds), (*counted, (("all", ""), total)), heads=2)


def alarm_table(alarms: pd.DataFrame, level: str) -> Table:
    """The alarms of a level, one row each."""
    rows = rows_of(alarms[alarms["level"] == level])
    names = tuple(((row["alarm"], row["cell"], row["told"]), ()) for row in rows)
    return Table(("alarm", "cell", "what was found"), names, heads=3)


def _collapses(results: Results) -> Iterator[Row]:
    models = {cell.id: cell for cell in results.cells if cell.stage.makes_model}
    low, high = CALLED_FAKE
    for cell in results.of(Stage.SCORE):
        scores = results.scores.get(cell.id)
        if scores is None or cell.tags.variant or not _meant(results, cell):
            continue
        called, fake = float(np.mean(scores.values > THRESHOLD)), float(scores.fake.mean())
        if low <= fake <= high and not low <= called <= high:
            whose = "the" if cell.tags.test == cell.tags.target else f"{cell.tags.test}'s"
            told = f"calls {percent(called)} of {whose} test images fake; {percent(fake)} are"
            yield _row(COLLAPSE, models[cell.needs[0]], called, told)


def _meant(results: Results, score: Cell) -> bool:
    """Whether the images are those that the detector is meant for: of its target, or of what it was trained on."""
    tags = score.tags
    return tags.test == tags.target or (tags.target == tags.source and results.seen(tags.source, tags.test))


def _lost(results: Results) -> Iterator[Row]:
    for cell in _adapted(results):
        tags = cell.tags
        model = Model(tags.detector, tags.adaptation, tags.source, tags.target)
        plain = results.entry(tags.detector, SOURCE_ONLY, tags.source, tags.source)
        for test in results.own(tags.source):
            after, before = (results.by_seed(each, test, "accuracy").get(tags.seed) for each in (model, plain))
            if after and before and round(before.value - after.value, 12) > SOURCE_LOST:
                whose = "the source" if test == tags.source else test
                told = f"right on {percent(after.value)} of {whose}'s test images, {percent(before.value)} before"
                yield _row(LOST, cell, after.value - before.value, told)


def _degenerate(results: Results) -> Iterator[Row]:
    for cell in _adapted(results):
        record = results.records.get(cell.id)
        rows = record.curves[-LAST_EPOCHS:] if record else ()
        for name in rows[-1] if rows else ():
            least = min(row.get(name, 0.0) for row in rows)
            if name.endswith(_DISCRIMINATOR) and least >= DISCRIMINATOR:
                yield _row(DEGENERATE, cell, rows[-1][name], f"{name} {number(rows[-1][name])} in the last epoch")


def _parted(results: Results) -> Iterator[Row]:
    for cell in (cell for cell in results.cells if cell.stage.makes_model):
        record = results.records.get(cell.id)
        if record and (parts := record.metrics.get(IN_PARTS)):
            yield _row(PARTED, cell, parts, f"in {parts:.0f} parts")


def _gains(results: Results, gains: pd.DataFrame) -> Iterator[Row]:
    cells: dict[Model, list[Cell]] = {}
    for cell in _adapted(results):
        tags = cell.tags
        cells.setdefault(Model(tags.detector, tags.adaptation, tags.source, tags.target), []).append(cell)
    pairs = gains[(gains["scope"] == "pair") & (gains["metric"] == "accuracy") & (gains["baseline"] == SOURCE_ONLY)]
    for row in rows_of(pairs):
        low, high = row["gain_low"], row["gain_high"]
        if math.isfinite(low) and not (row["clear"] and row["gain"] > 0):
            model = Model(row["detector"], row["adaptation"], row["source"], row["target"])
            told = f"gain {signed(row['gain'])} [{interval(low, high, sign=True)}]"
            yield _of_pair(WORSE if row["clear"] else WITHIN, cells[model], row["gain"], told)


def _adapted(results: Results) -> list[Cell]:
    return [cell for cell in results.of(Stage.ADAPT) if cell.tags.adaptation not in results.oracles]


def _of_pair(alarm: str, cells: list[Cell], value: float, told: str) -> Row:
    row = _row(alarm, cells[0], value, told)
    return row if len(cells) == 1 else row | {"seed": None, "cell": cells[0].name.rsplit("/", 1)[0] + "/seed*"}


def _row(alarm: str, cell: Cell, value: float, told: str) -> Row:
    tags = cell.tags
    place = {name: getattr(tags, name) for name in ("detector", "adaptation", "source", "target", "seed")}
    return {**place, "alarm": alarm, "cell": cell.name, "value": value, "told": told}

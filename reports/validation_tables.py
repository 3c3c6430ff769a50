"""The rules of selection on the page: side by side, those that read the target's labels shaded, and in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from reports.choices import BEST, LAST, reference
from reports.frames import INTERVAL, Row
from reports.tables import MISSING, Figure, Table, interval, number, rows_of, signed
from reports.tasks import ALL, EPOCHS, TASK
from reports.validation import Validation, reads_labels


@dataclass(frozen=True, slots=True)
class ValidationPart:
    """What the page says of the rules for one detector.

    Attributes:
        sentences: what is known, and what the rules without labels are worth.
        correlations, choices, picks: a column a rule; the second is None where no training has several epochs.
        over: what a choice is compared with.
        alone: the methods whose one checkpoint leaves nothing to choose, in a sentence; or "".
        best: the head of the column that is as good as any choice can be.
    """

    sentences: Sequence[str]
    correlations: Table
    choices: Table | None
    picks: Table
    over: str
    alone: str
    best: str = BEST


def validation_part(validation: Validation, detector: str, own: str) -> ValidationPart | None:
    """The rules of a detector's adaptations; None where none of these is watched, or none is done.

    Args:
        own: the study's rule.
    """
    correlations = _of(validation.correlations, detector)
    if correlations.empty:
        return None
    choices = _of(validation.choices, detector)
    heads = {rule: f"{rule}, the study's" if rule == own else rule for rule in (*validation.rules, LAST, BEST)}
    trained = choices[choices["among"] == EPOCHS]
    return ValidationPart(
        sentences=tuple(_sentences(validation, detector)),
        correlations=_correlation_table(correlations, heads),
        choices=_choice_table(trained, heads) if len(trained) else None,
        picks=_pick_table(choices[choices["among"] == ALL], heads),
        over=reference(validation.rules),
        alone=_alone(_of(validation.checkpoints, detector)),
    )


def _table(first: str, rules: Iterable[str], heads: dict[str, str], rows: Sequence[tuple[str, list[Figure]]]) -> Table:
    shown = tuple(rules)
    shaded = frozenset(heads[rule] for rule in shown if _bound(rule))
    columns = (first, *(heads[rule] for rule in shown))
    return Table(columns, tuple(((name,), tuple(figures)) for name, figures in rows), shaded=shaded)


def _bound(rule: str) -> bool:
    """Whether labels of the target chose: what stands in a shaded column."""
    return rule == BEST or reads_labels(rule)


def _ordered(heads: dict[str, str], *without: str) -> list[str]:
    """The columns: the rules without labels, the last epoch, then the bounds."""
    return sorted((rule for rule in heads if rule not in without), key=lambda rule: (_bound(rule), rule == LAST))


def _correlation_table(correlations: pd.DataFrame, heads: dict[str, str]) -> Table:
    rules = _ordered(heads, LAST, BEST)
    rows = []
    for among, name in ((ALL, "over methods and epochs"), (EPOCHS, "within a training")):
        means = _means(correlations[correlations["among"] == among])
        rows.append((name, [_correlation(means[rule], _bound(rule)) for rule in rules]))
    return _table("Spearman's rho", rules, heads, rows)


def _correlation(row: Row, bound: bool) -> Figure:
    value, low, high = (row["rho" + end] for end in INTERVAL)
    if not math.isfinite(value):
        return Figure(MISSING, "undefined", clear=bound)
    told = [f"{signed(low, 2)} to {signed(high, 2)}"] if math.isfinite(low) else []
    told += [f"{row['tasks']} of {row['tasks_planned']} tasks"] if row["tasks"] < row["tasks_planned"] else []
    told += [f"{row['left_out']} left out"] if row["left_out"] else []
    return Figure(signed(value, 2), "\n".join(told), clear=bound or low > 0 or high < 0)


def _choice_table(choices: pd.DataFrame, heads: dict[str, str]) -> Table:
    rules, rows = _ordered(heads), []
    for method, part in choices[choices["scope"] == "mean"].groupby("adaptation", sort=False):
        means = _means(part)
        rows.append((str(method) or "all of these", [_choice(means[rule], _bound(rule)) for rule in rules]))
    return _table("method", rules, heads, rows)


def _choice(row: Row, bound: bool) -> Figure:
    """The accuracy of what a rule chose, with its gain; of what the others are compared with, with its own interval."""
    if not math.isfinite(row["accuracy"]):
        return Figure(MISSING, "chose nothing", clear=bound)
    if row["rule"] == row["over"]:
        return Figure(number(row["accuracy"], 3), interval(row["accuracy_low"], row["accuracy_high"], 3))
    told = [signed(row["gain"]), interval(row["gain_low"], row["gain_high"], sign=True)]
    return Figure(number(row["accuracy"], 3), "\n".join(filter(None, told)), clear=bound or bool(row["clear"]))


def _pick_table(picks: pd.DataFrame, heads: dict[str, str]) -> Table:
    rules = _ordered(heads, LAST)
    means = _means(picks)
    rows = [
        ("accuracy of its checkpoint", [_choice(means[rule], _bound(rule)) for rule in rules]),
        ("regret to the best", [_regret(means[rule]) for rule in rules]),
        ("method that it takes most often", [_preferred(picks[picks["rule"] == rule]) for rule in rules]),
    ]
    return _table("of each task", rules, heads, rows)


def _regret(row: Row) -> Figure:
    return Figure(number(row["regret"], 3), interval(row["regret_low"], row["regret_high"], 3))


def _preferred(picks: pd.DataFrame) -> Figure:
    methods = picks.loc[picks["scope"] == "task", "adaptation"].str.split(" = ").explode()
    if methods.empty:
        return Figure(MISSING)
    counts = methods.value_counts()
    most = min(counts[counts == counts.max()].index)
    return Figure(most, f"{counts[most]} of {(picks['scope'] == 'task').sum()} tasks")


def _sentences(validation: Validation, detector: str) -> Iterable[str]:
    if validation.done < validation.watched:
        yield f"{validation.done} of {validation.watched} adaptations are judged so far."
    correlations = _of(validation.correlations, detector)
    rows = _means(correlations[correlations["among"] == ALL])
    known = [row for row in rows.values() if not row["reads_labels"] and row["rho_low"] > 0]
    if known:
        best = max(known, key=lambda row: float(row["rho"]))
        ends = f"{signed(best['rho_low'], 2)} to {signed(best['rho_high'], 2)}"
        yield (
            f"Of the rules without labels of the target, {best['rule']} goes with the accuracy there most: rho"
            f" {signed(best['rho'], 2)} [{ends}] over the checkpoints of a task."
        )
    else:
        yield "No rule without labels of the target is shown to go with the accuracy there, over a task's checkpoints."
    yield from _gains(_of(validation.choices, detector), reference(validation.rules))


def _gains(choices: pd.DataFrame, over: str) -> Iterable[str]:
    """Which rules choose better epochs over all methods, as far as intervals say so."""
    means = _means(choices[(choices["among"] == EPOCHS) & (choices["adaptation"] == "")])
    free = [row for rule, row in means.items() if not _bound(rule) and rule not in (over, LAST)]
    better = [row for row in free if row["clear"] and row["gain"] > 0]
    if better:
        each = (
            f"{r['rule']} {signed(r['gain'])} [{interval(r['gain_low'], r['gain_high'], sign=True)}]" for r in better
        )
        yield f"Epochs chosen without labels gain over those of {over}: {', '.join(each)}, averaged over the methods."
    elif free:
        yield f"None of them chooses epochs that are better than those of {over} beyond its 95 % interval."


def _alone(checkpoints: pd.DataFrame) -> str:
    counting = checkpoints[checkpoints["counts"]]
    sizes = counting.groupby(["adaptation", *TASK], sort=False).size().groupby("adaptation", sort=False).max()
    names = [str(name) for name, size in sizes.items() if size == 1]
    return f" One checkpoint alone, so no choice: {', '.join(names)}." if names else ""


def _of(frame: pd.DataFrame, detector: str) -> pd.DataFrame:
    return frame[frame["detector"] == detector]


def _means(rows: pd.DataFrame) -> dict[str, Row]:
    return {row["rule"]: row for row in rows_of(rows[rows["scope"] == "mean"])}

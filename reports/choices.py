"""What each rule of selection would have chosen, and what that is worth on the target: paired, rule by rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from reports.frames import INTERVAL, Row, interval_columns
from reports.results import Results
from reports.selection import SOURCE_VAL
from reports.tasks import ALL, EPOCHS, TASK, over_tasks

LAST, BEST = "last epoch", "best by test"
"""Beside the rules: nothing is chosen; and chosen by the target's test labels, which no rule can do better."""

_FIGURES = ("accuracy", "gain", "regret")
CHOICES = (
    *("plan", "detector", "among", "adaptation", "rule", "over", "scope", *TASK, "epoch", "tasks"),
    *(name + end for name in _FIGURES for end in INTERVAL),
    "clear",
)

Parts = Mapping[str, pd.DataFrame]
"""Accuracy, gain and regret: each a row a task (and method), a column a rule."""


def choice_frame(results: Results, checkpoints: pd.DataFrame, rules: Sequence[str]) -> pd.DataFrame:
    """One row a rule and what it chose from, and the mean over tasks: target accuracy, its gain, and its regret.

    Among ``epochs`` a rule chooses one of a training: of equals the latest, as the fit does. The mean of a method is
    over its tasks; that of no method over all methods, task by task. Among ``methods and epochs`` it then takes the
    method that it prefers of a task; of equals, the mean. A rule without a figure chooses nothing.

    ``gain`` is over what the rule ``over`` chooses, ``regret`` the accuracy that the best checkpoint has beyond it;
    their intervals are over tasks, paired. Methods of one checkpoint leave nothing to choose among epochs.

    Args:
        checkpoints: those that a rule may choose.
    """
    rows: list[Row] = []
    for detector in results.detectors:
        ours = checkpoints[checkpoints["detector"] == detector]
        if ours.empty:
            continue
        place = {"plan": results.plan, "detector": detector, "over": reference(rules)}
        chosen = _chosen(ours, rules)
        rows += [{**place, "among": EPOCHS, **row} for row in _among_epochs(results, chosen[chosen["several"]], rules)]
        rows += [{**place, "among": ALL, **row} for row in _among_all(results, chosen, rules)]
    return pd.DataFrame(rows, columns=list(CHOICES)).astype({"seed": "Int64", "epoch": "Int64", "tasks": "Int64"})


def reference(rules: Sequence[str]) -> str:
    """What a choice is to be better than: ``source_val``'s; where that is not among the rules, the last epoch."""
    return SOURCE_VAL if SOURCE_VAL in rules else LAST


def _chosen(checkpoints: pd.DataFrame, rules: Sequence[str]) -> pd.DataFrame:
    """One row a training and rule: the checkpoint with its largest figure, of equals the latest."""
    several = checkpoints.groupby("cell", sort=False)["cell"].transform("size") > 1
    shown = checkpoints.assign(several=several)[[*TASK, "adaptation", "cell", "epoch", "several"]]
    columns = {**{rule: rule for rule in rules}, LAST: "epoch", BEST: "target_accuracy"}
    parts = []
    for rule, column in columns.items():
        part = shown.assign(rule=rule, figure=checkpoints[column], accuracy=checkpoints["target_accuracy"])
        part = part.dropna(subset=["figure"]).sort_values(["figure", "epoch"], kind="stable")
        parts.append(part.drop_duplicates("cell", keep="last").sort_index())
    return pd.concat(parts)


def _among_epochs(results: Results, chosen: pd.DataFrame, rules: Sequence[str]) -> Iterator[Row]:
    keys = [*TASK, "adaptation"]
    parts = _parts(chosen, keys, rules)
    epochs = chosen.set_index([*keys, "rule"])["epoch"]
    for row in _task_rows(parts):
        yield row | {"epoch": epochs.get((*(row[key] for key in keys), row["rule"]))}
    for method in dict.fromkeys(chosen["adaptation"]):
        ours = parts["accuracy"].index.get_level_values("adaptation") == method
        of_method = {name: part[ours].droplevel("adaptation") for name, part in parts.items()}
        yield from ({"adaptation": method, **row} for row in _mean_rows(results, of_method))
    if len(chosen):  # some training has more than one checkpoint
        means = {name: part.groupby(level=list(TASK), sort=False).mean() for name, part in parts.items()}
        yield from ({"adaptation": "", **row} for row in _mean_rows(results, means))


def _among_all(results: Results, chosen: pd.DataFrame, rules: Sequence[str]) -> Iterator[Row]:
    keys = [*TASK, "rule"]
    ours = chosen[chosen["rule"] != LAST]
    first = ours[ours["figure"] == ours.groupby(keys)["figure"].transform("max")]
    preferred = first.groupby(keys, sort=False)
    picked = preferred.agg(accuracy=("accuracy", "mean"), adaptation=("adaptation", " = ".join)).reset_index()
    parts = _parts(picked, list(TASK), rules)
    methods = picked.set_index(keys)["adaptation"]
    for row in _task_rows(parts):
        yield row | {"adaptation": methods.get(tuple(row[key] for key in keys), "")}
    yield from ({"adaptation": "", **row} for row in _mean_rows(results, parts))


def _parts(chosen: pd.DataFrame, keys: Sequence[str], rules: Sequence[str]) -> Parts:
    accuracy = chosen.set_index([*keys, "rule"])["accuracy"].unstack("rule").reindex(columns=[*rules, LAST, BEST])
    return {
        "accuracy": accuracy,
        "gain": accuracy.sub(accuracy[reference(rules)], axis="index"),
        "regret": accuracy.rsub(accuracy[BEST], axis="index"),
    }


def _task_rows(parts: Parts) -> Iterator[Row]:
    long = [part.melt(ignore_index=False, var_name="rule", value_name=name) for name, part in parts.items()]
    found = long[0].assign(**{name: part[name] for name, part in zip(_FIGURES[1:], long[1:], strict=True)})
    for row in found.dropna(subset=["accuracy"]).reset_index().to_dict("records"):
        yield {**{str(name): value for name, value in row.items()}, "scope": "task", "tasks": 1}


def _mean_rows(results: Results, parts: Parts) -> Iterator[Row]:
    estimates = {name: over_tasks(part, results.resampler) for name, part in parts.items()}
    for rule in parts["accuracy"].columns:
        row: Row = {"rule": rule, "scope": "mean", "tasks": int(parts["accuracy"][rule].notna().sum())}
        for name, found in estimates.items():
            row |= interval_columns(name, found[rule])
        yield row | {"clear": estimates["gain"][rule].clear}

"""The figure of the rules of selection: how far each one's figures go with the accuracy on the target."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from reports.colours import method_colour
from reports.drawing import INK, figure_of
from reports.tasks import ALL, EPOCHS
from reports.validation import reads_labels

_LABELS = {ALL: "over methods and epochs", EPOCHS: "within a training"}


def correlation_figure(correlations: pd.DataFrame, detector: str, rules: Sequence[str]) -> str:
    """Spearman's rho by rule: a faint dot a task, the mean with its 95 % interval; those that read labels below."""
    ours = correlations[correlations["detector"] == detector]
    with figure_of(f"validators {detector}", 7.6, 0.95 + 0.46 * len(rules)) as (figure, done):
        axis = figure.subplots()
        axis.axvline(0, color=INK, linewidth=0.8)
        for place, (among, label) in enumerate(_LABELS.items()):
            part = ours[ours["among"] == among]
            _dots(axis, part, rules, 0.17 * (2 * place - 1), label, method_colour(place + 1))
        bounds = sum(map(reads_labels, rules))
        if 0 < bounds < len(rules):
            axis.axhline(len(rules) - bounds - 0.5, color=INK, linewidth=0.8, linestyle=":")
        axis.set_yticks(range(len(rules)), [f"{rule} (labels)" if reads_labels(rule) else rule for rule in rules])
        axis.set_ylim(len(rules) - 0.5, -0.5)
        axis.set_xlim(-1.04, 1.04)
        axis.set_xlabel("Spearman's rho with accuracy on the target's test images")
        axis.grid(axis="x")
        figure.legend(loc="outside upper right", frameon=False, ncols=2)
    return done()


def _dots(axis: Axes, rows: pd.DataFrame, rules: Sequence[str], offset: float, label: str, colour: str) -> None:
    for place, rule in enumerate(rules):
        ours = rows[rows["rule"] == rule]
        tasks, means = (ours[ours["scope"] == scope] for scope in ("task", "mean"))
        height = place + offset
        axis.plot(tasks["rho"], [height + 0.08] * len(tasks), "o", ms=3.0, color=colour, alpha=0.25, mew=0)
        axis.hlines([height] * len(means), means["rho_low"], means["rho_high"], color=colour, linewidth=2.4)
        axis.plot(means["rho"], [height] * len(means), "D", markersize=5.5, color=colour)
    axis.plot([], [], "D-", color=colour, markersize=5.5, linewidth=2.4, label=label)

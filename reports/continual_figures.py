"""The figure of a sequence: accuracy on each of its generators after each step, a panel a method."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from reports.colours import method_colour
from reports.drawing import INK, figure_of


def sequence_figure(entries: pd.DataFrame, detector: str, sequence: str) -> str:
    """A line a generator, dashed until the step that learns it, which is marked; bands are 95 % intervals.

    Args:
        entries: of one detector, sequence and metric, all methods: the rows of ``matrix_entries``.
    """
    methods = list(dict.fromkeys(entries["adaptation"]))
    generators = list(dict.fromkeys(entries["learnt"]))
    width = 0.8 + max(1.9, 0.5 * len(generators) + 0.9) * len(methods)
    with figure_of(f"sequence {detector} {sequence}", width, 3.3) as (figure, done):
        axes = figure.subplots(1, len(methods), squeeze=False, sharey=True)[0]
        for axis, method in zip(axes, methods, strict=True):
            _panel(axis, entries[entries["adaptation"] == method], generators)
            axis.set_title(method)
        lowest = np.nanmin([0.4, entries["value"].min(), entries["value_low"].min()])
        axes[0].set_ylim(lowest - 0.03, 1.03)
        axes[0].set_ylabel("accuracy")
        lines = [axes[0].plot([], [], "o-", color=method_colour(k + 1))[0] for k in range(len(generators))]
        names = [f"on {name}" for name in generators]
        figure.legend(lines, names, loc="outside lower center", frameon=False, ncols=min(5, len(generators)))
    return done()


def _panel(axis: Axes, ours: pd.DataFrame, generators: Sequence[str]) -> None:
    axis.axhline(0.5, color=INK, linewidth=0.9, linestyle=":")
    for learnt, test in enumerate(generators):
        line = ours[ours["test"] == test].sort_values("step")
        steps, value, low, high = (
            line[name].to_numpy(dtype=np.float64) for name in ("step", "value", "value_low", "value_high")
        )
        colour = method_colour(learnt + 1)
        axis.fill_between(steps, low, high, color=colour, alpha=0.12, linewidth=0)
        axis.plot(steps[: learnt + 1], value[: learnt + 1], "--", color=colour, linewidth=1.1)
        axis.plot(steps[learnt:], value[learnt:], "-", color=colour, linewidth=1.8)
        axis.plot(steps[learnt : learnt + 1], value[learnt : learnt + 1], "o", color=colour, markersize=5.5)
    axis.set_xticks(range(len(generators)), list(generators), rotation=35, ha="right")
    axis.set_xlabel("after learning")
    axis.grid()

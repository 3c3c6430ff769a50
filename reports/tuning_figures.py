"""The figures of tunings: how the search went, which parameters mattered, and how the objective depends on each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from reports.colours import method_colour
from reports.drawing import INK, figure_of
from reports.tuning import COMPLETE, IMPORTANCE, PARAMETER, TunedMethod, parameters_in

_WIDE = 4
"""Panels in a row."""
_SPREAD = 0.24
"""How far from its column's middle a trial may be drawn, in columns."""
_MARGIN = 0.05
"""Of an axis, on both sides of what is drawn."""
_LETTERS = 24
"""As many stand side by side below a panel; names that are longer in all are turned."""
_DECADES = 2
"""A logarithmic axis that is shorter has ticks at 1, 2 and 5."""


def history_figure(methods: Sequence[TunedMethod], trials: pd.DataFrame, sources: Sequence[str]) -> str:
    """The objective by trial, a panel a method: a dot a trial, and a line a tuning with the best so far."""
    shown = [method for method in methods if len(method.of(trials))]
    rows, columns = _grid(len(shown))
    with figure_of("tuning history", _width(columns), 0.75 + 2.2 * rows) as (figure, done):
        for axis, method in zip(_axes(figure, rows, columns, len(shown)), shown, strict=True):
            for _, ours in method.of(trials).groupby("tuning", sort=False):
                colour = _colour(ours, sources)
                _dots(axis, ours["number"].to_numpy(dtype=np.float64), ours, colour)
                axis.step(ours["number"], ours["best"], where="post", color=colour, linewidth=1.3, alpha=0.85)
            axis.set_title(method.label)
            axis.set_ylabel(method.objective)
            axis.set_xlabel("trial")
            axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
            axis.grid()
        _legend(figure, sources)
    return done()


def importance_figure(methods: Sequence[TunedMethod], tunings: pd.DataFrame) -> str:
    """How much each parameter mattered, a panel a method: a dot a tuning, their range, and a diamond for the mean."""
    shown = [method for method in methods if parameters_in(method.of(tunings), IMPORTANCE)]
    rows, columns = _grid(len(shown), 3)
    longest = max(len(method.space) for method in shown)
    with figure_of("tuning importance", 0.6 + 3.5 * columns, 0.2 + rows * (0.7 + 0.24 * longest)) as (figure, done):
        axes = _axes(figure, rows, columns, len(shown))
        for axis, method in zip(axes, shown, strict=True):
            _importances(axis, method.of(tunings))
            axis.set_title(method.label)
            axis.set_xlim(-0.03, 1.03)
            axis.set_xlabel("importance")
            axis.grid(axis="x")
    return done()


def slices_figure(method: TunedMethod, trials: pd.DataFrame, sources: Sequence[str]) -> str:
    """The objective of a method's trials against each parameter; what a tuning chose is a framed diamond."""
    ours = method.of(trials)
    names = [name for name in method.space if name in parameters_in(ours, PARAMETER)]
    rows, columns = _grid(len(names))
    with figure_of(f"tuning slices {method.label}", _width(columns), 0.75 + 2.2 * rows) as (figure, done):
        axes = _axes(figure, rows, columns, len(names), one_scale=True)
        for place, (axis, name) in enumerate(zip(axes, names, strict=True)):
            _slice(axis, method, name, ours, sources)
            axis.set_xlabel(name)
            axis.set_ylabel(method.objective if place % columns == 0 else "")
            axis.grid()
        _legend(figure, sources)
    return done()


def _grid(panels: int, wide: int = _WIDE) -> tuple[int, int]:
    rows = math.ceil(panels / wide)
    return rows, math.ceil(panels / rows)


def _width(columns: int) -> float:
    return 0.5 + 2.8 * columns


def _axes(figure: Figure, rows: int, columns: int, panels: int, *, one_scale: bool = False) -> list[Axes]:
    """The first axes of a grid, up and down on one scale if wanted; those that are left over are blank."""
    every: list[Axes] = list(figure.subplots(rows, columns, squeeze=False, sharey=one_scale).flat)
    for axis in every[panels:]:
        axis.set_axis_off()
    return every[:panels]


def _colour(rows: pd.DataFrame, sources: Sequence[str]) -> str:
    return method_colour(sources.index(str(rows["source"].iloc[0])) + 1)


def _legend(figure: Figure, sources: Sequence[str]) -> None:
    axis = figure.axes[0]
    lines = [axis.plot([], [], "o-", ms=4, color=method_colour(k + 1))[0] for k in range(len(sources))]
    names = [f"trained on {source}" for source in sources]
    figure.legend(lines, names, loc="outside lower center", frameon=False, ncols=min(4, len(sources)))


def _dots(axis: Axes, at: NDArray[np.float64], rows: pd.DataFrame, colour: str) -> None:
    """A dot a trial: full where it is complete, a ring where it was stopped; nothing where it failed."""
    value, complete = rows["value"].to_numpy(dtype=np.float64), (rows["state"] == COMPLETE).to_numpy()
    axis.plot(at[complete], value[complete], "o", ms=3.6, color=colour, alpha=0.6, mew=0)
    axis.plot(at[~complete], value[~complete], "o", ms=3.6, mfc="none", mec=colour, alpha=0.8, mew=0.8)


def _importances(axis: Axes, ours: pd.DataFrame) -> None:
    colour = method_colour(0)  # of no source
    columns = parameters_in(ours, IMPORTANCE)
    means = {name: float(ours[column].mean()) for name, column in columns.items()}
    ranked = sorted(columns, key=lambda name: (-means[name], name))
    for place, name in enumerate(ranked):
        values = ours[columns[name]].dropna().to_numpy(dtype=np.float64)
        axis.hlines(place, values.min(), values.max(), color=colour, linewidth=1.6, alpha=0.5)
        axis.plot(values, [place] * len(values), "o", ms=3.6, color=colour, alpha=0.45, mew=0)
        axis.plot(means[name], place, "D", ms=5.5, color=colour)
    axis.set_yticks(range(len(ranked)), ranked)
    axis.set_ylim(len(ranked) - 0.5, -0.5)


def _slice(axis: Axes, method: TunedMethod, name: str, ours: pd.DataFrame, sources: Sequence[str]) -> None:
    column, choices = PARAMETER + name, method.choices(name)
    known = ours[ours[column].notna()]
    tunings = list(dict.fromkeys(known["tuning"]))
    for place, tuning in enumerate(tunings):
        rows = known[known["tuning"] == tuning]
        at = _columns_of(rows[column], choices, place, len(tunings)) if choices else rows[column].to_numpy(np.float64)
        colour, won = _colour(rows, sources), rows["chosen"].to_numpy(dtype=bool)
        _dots(axis, at, rows, colour)
        axis.plot(at[won], rows["value"].to_numpy(np.float64)[won], "D", ms=5.5, color=colour, mec=INK, mew=0.9)
    if choices:
        _in_columns(axis, choices)
    else:
        _in_interval(axis, method.space[name], known[column].to_numpy(np.float64))


def _columns_of(values: pd.Series[str], choices: Sequence[str], tuning: int, tunings: int) -> NDArray[np.float64]:
    """A column a choice; side by side in it, the tunings."""
    beside = _SPREAD * (2 * (tuning + 0.5) / tunings - 1)
    return np.array([choices.index(value) + beside for value in values], dtype=np.float64)


def _in_columns(axis: Axes, choices: Sequence[str]) -> None:
    axis.set_xticks(range(len(choices)), list(choices))
    if sum(map(len, choices)) > _LETTERS:
        axis.tick_params(axis="x", rotation=25)
    axis.set_xlim(-0.6, len(choices) - 0.4)


def _in_interval(axis: Axes, space: Mapping[str, Any], tried: NDArray[np.float64]) -> None:
    """All of the interval, and of what was tried: the study's own parameters may be outside of it."""
    low, high = min(space["low"], tried.min()), max(space["high"], tried.max())
    if not space.get("log"):
        axis.set_xlim(low - _MARGIN * (high - low), high + _MARGIN * (high - low))
        axis.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=bool(space.get("integer"))))
        return
    ratio = high / low
    axis.set_xscale("log")
    axis.set_xlim(low / ratio**_MARGIN, high * ratio**_MARGIN)
    axis.xaxis.set_major_locator(LogLocator(subs=(1.0,) if math.log10(ratio) >= _DECADES else (1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())

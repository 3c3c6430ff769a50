"""The figures of a detector: matrices, gains, attacks, severities and learning curves."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from reports.colours import DIAGONAL, STOPS, method_colour, shade
from reports.drawing import INK, figure_of
from reports.frames import matrix_frame
from reports.results import Results
from reports.robustness import RATES

_SCALE = LinearSegmentedColormap.from_list("chance", list(STOPS))
_NOT_LEARNT = ("learning_rate", "seconds", "images_per_second")
METRIC_NAMES = {"accuracy": "accuracy", "auroc": "AUROC"}
SEVERITY_PANELS = {
    ("across", "auroc"): "AUROC across generators",
    ("across", "balanced_accuracy"): "balanced accuracy across",
    ("in_dataset", "auroc"): "AUROC in-dataset",
    ("in_dataset", "balanced_accuracy"): "balanced accuracy in-dataset",
}
RATE_NAMES = {
    "robust_accuracy": "robust accuracy",
    "fake_to_real": "fakes that then pass for real",
    "real_to_fake": "reals that then pass for fake",
}


def matrices_figure(results: Results, detector: str) -> str:
    """Every matrix of a detector: a row a metric, a column a method; the diagonal is framed: in-dataset."""
    side = max(1.9, 0.5 * len(results.tests) + 0.4)
    shown = (*results.adaptations, *results.oracles)
    columns = len(shown)
    with figure_of(f"matrix {detector}", columns * side + 0.8, 2 * side + 0.7) as (figure, done):
        axes = figure.subplots(2, columns, squeeze=False, sharex=True, sharey=True)
        for row, metric in zip(axes, METRIC_NAMES, strict=True):
            for axis, adaptation in zip(row, shown, strict=True):
                _heatmap(axis, matrix_frame(results, detector, adaptation, metric), results.seen)
                reads = "\n(the target's labels)" if adaptation in results.oracles else ""
                axis.set_title(adaptation + reads if metric == "accuracy" else "")
            row[0].set_ylabel(f"{METRIC_NAMES[metric]}\ntrained on")
        for axis in axes[-1]:
            axis.set_xlabel("tested on")
    return done()


def gains_figure(gains: pd.DataFrame, detector: str, adaptations: Sequence[str], baselines: Sequence[str]) -> str:
    """Accuracy gained over each baseline: a dot a pair of generators, and the mean with its 95 % interval."""
    ours = gains[(gains["detector"] == detector) & (gains["metric"] == "accuracy")]
    shown = [name for name in adaptations if name in set(ours["adaptation"])]
    with figure_of(f"gains {detector}", 7.6, 0.85 + 0.56 * len(shown)) as (figure, done):
        axis = figure.subplots()
        axis.axvline(0, color=INK, linewidth=0.8)
        for place, baseline in enumerate(baselines):
            offset = 0.17 * (2 * place - len(baselines) + 1)
            _forest(axis, ours[ours["baseline"] == baseline], shown, offset, baseline, method_colour(place + 1))
        axis.set_yticks(range(len(shown)), shown)
        axis.set_ylim(len(shown) - 0.5, -0.5)
        axis.set_xlabel("accuracy gained on the target's test images")
        axis.grid(axis="x")
        figure.legend(loc="outside upper right", frameon=False, ncols=len(baselines))
    return done()


def attack_figure(means: pd.DataFrame, detector: str, attack: str, adaptations: Sequence[str]) -> str:
    """Robust accuracy and the error rates of both directions against the attack's budget, a line a method."""
    ours = means[(means["detector"] == detector) & (means["attack"] == attack)]
    with figure_of(f"attack {attack} {detector}", 10.4, 3.1) as (figure, done):
        for axis, rate in zip(figure.subplots(1, len(RATES), sharey=True), RATES, strict=True):
            for place, adaptation in enumerate(adaptations):
                part = ours[ours["adaptation"] == adaptation].sort_values("epsilon")
                if len(part):
                    label = adaptation if rate == RATES[0] else ""
                    _band(axis, part["epsilon"], part, rate, label, method_colour(place))
            axis.set_title(RATE_NAMES[rate])
            axis.set_xlabel("ε, pixel steps of 0-255")
            axis.set_ylim(-0.03, 1.03)
            axis.grid()
        figure.legend(loc="outside lower center", frameon=False, ncols=min(6, len(adaptations)))
    return done()


def severity_figure(severities: pd.DataFrame, detector: str, adaptations: Sequence[str]) -> str:
    """AUROC and balanced accuracy against severity: a row a corruption, a line a method, the clean images first."""
    ours = severities[severities["detector"] == detector]
    corruptions = list(dict.fromkeys(ours["corruption"]))
    with figure_of(f"severity {detector}", 11.6, 0.9 + 2.2 * len(corruptions)) as (figure, done):
        axes = figure.subplots(len(corruptions), len(SEVERITY_PANELS), squeeze=False, sharey=True)
        for row, corruption in zip(axes, corruptions, strict=True):
            _severity_row(row, ours[ours["corruption"] == corruption], adaptations)
        for axis, panel in zip(axes[0], SEVERITY_PANELS, strict=True):
            axis.set_title(SEVERITY_PANELS[panel])
        lowest = ours[[name + end for _, name in SEVERITY_PANELS for end in ("", "_low")]].min().min()
        axes[0, 0].set_ylim(np.nanmin([0.4, lowest]) - 0.03, 1.03)
        lines = [axes[0, 0].plot([], [], "o-", color=method_colour(k))[0] for k in range(len(adaptations))]
        figure.legend(lines, adaptations, loc="outside lower center", frameon=False, ncols=min(6, len(adaptations)))
    return done()


def curves_figure(curves: pd.DataFrame, detector: str, adaptations: Sequence[str], limit: int = 4) -> str:
    """Learning curves: a row a metric, a column a method, a line a model, coloured by its train generator."""
    ours = curves[curves["detector"] == detector]
    shown = [name for name in adaptations if name in set(ours["adaptation"])]
    metrics = _curve_metrics(ours, limit)
    sources = list(dict.fromkeys(ours["source"]))
    with figure_of(f"curves {detector}", 1.2 + 2.1 * len(shown), 0.8 + 1.5 * len(metrics)) as (figure, done):
        axes = figure.subplots(len(metrics), len(shown), squeeze=False, sharey="row")
        for row, metric in zip(axes, metrics, strict=True):
            for axis, adaptation in zip(row, shown, strict=True):
                part = ours[(ours["metric"] == metric) & (ours["adaptation"] == adaptation)]
                _curves(axis, part, sources)
                axis.set_title(adaptation if metric == metrics[0] else "")
            row[0].set_ylabel(metric.replace("_", " "))
        for axis in axes[-1]:
            axis.set_xlabel("epoch")
        figure.legend(*_source_legend(axes[0, 0], sources), loc="outside lower center", frameon=False, ncols=6)
    return done()


def _heatmap(axis: Axes, matrix: pd.DataFrame, seen: Callable[[str, str], bool]) -> None:
    values = matrix.to_numpy(dtype=np.float64)
    edges = (np.arange(n + 1) - 0.5 for n in values.shape[::-1])
    axis.pcolormesh(*edges, np.ma.masked_invalid(values), cmap=_SCALE, vmin=0, vmax=1, edgecolors="w", linewidth=0.8)
    axis.set_aspect("equal")
    axis.set_ylim(values.shape[0] - 0.5, -0.5)
    for row, source in enumerate(matrix.index):
        for column, test in enumerate(matrix.columns):
            value = values[row, column]
            ink = shade(value)[1] if math.isfinite(value) else INK
            text = f"{value:.2f}" if math.isfinite(value) else "·"
            axis.text(column, row, text, ha="center", va="center", color=ink, fontsize=8.5)
            if seen(source, test):
                axis.add_patch(_frame(column, row))
    axis.set_xticks(range(len(matrix.columns)), list(matrix.columns), rotation=35, ha="right")
    axis.set_yticks(range(len(matrix.index)), list(matrix.index))
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def _frame(column: int, row: int) -> Rectangle:
    return Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, fill=False, edgecolor=DIAGONAL, linewidth=1.6)


def _forest(axis: Axes, gains: pd.DataFrame, shown: Sequence[str], offset: float, label: str, colour: str) -> None:
    for place, adaptation in enumerate(shown):
        ours = gains[gains["adaptation"] == adaptation]
        pairs, means = (ours[ours["scope"] == scope] for scope in ("pair", "mean"))
        height = place + offset
        axis.plot(pairs["gain"], [height + 0.1] * len(pairs), "o", ms=3.2, color=colour, alpha=0.35, mew=0)
        axis.hlines([height] * len(means), means["gain_low"], means["gain_high"], color=colour, linewidth=2.4)
        axis.plot(means["gain"], [height] * len(means), "D", markersize=5.5, color=colour)
    axis.plot([], [], "D-", color=colour, markersize=5.5, linewidth=2.4, label=f"over {label}")


def _band(axis: Axes, at: pd.Series[Any], part: pd.DataFrame, name: str, label: str, colour: str) -> None:
    places = at.to_numpy(dtype=np.float64)
    value, low, high = (part[name + end].to_numpy(dtype=np.float64) for end in ("", "_low", "_high"))
    axis.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
    axis.plot(places, value, "o-", color=colour, markersize=3.5, linewidth=1.6, label=label)


def _severity_row(axes: Sequence[Axes], ours: pd.DataFrame, adaptations: Sequence[str]) -> None:
    """One corruption: a panel a scope and metric, severities evenly spaced behind the clean images."""
    steps = ours.drop_duplicates("step").sort_values("step")
    for axis, (scope, metric) in zip(axes, SEVERITY_PANELS, strict=True):
        axis.axhline(0.5, color=INK, linewidth=0.9, linestyle=":")
        for place, adaptation in enumerate(adaptations):
            part = ours[(ours["scope"] == scope) & (ours["adaptation"] == adaptation)].sort_values("step")
            _band(axis, part["step"], part, metric, "", method_colour(place))
        axis.set_xticks(steps["step"], ["clean", *(f"{value:g}" for value in steps["severity"][1:])])
        if len(steps) > 6:
            axis.tick_params(axis="x", rotation=45)
        axis.set_xlabel(f"{steps['parameter'].iloc[0]}, {steps['unit'].iloc[0]}")
        axis.grid()
    axes[0].set_ylabel(str(ours["corruption"].iloc[0]).replace(" (", "\n("))


def _curves(axis: Axes, part: pd.DataFrame, sources: Sequence[str]) -> None:
    for (source, _, _), line in part.groupby(["source", "target", "seed"], sort=True):
        colour = method_colour(sources.index(str(source)) + 1)
        axis.plot(line["epoch"], line["value"], color=colour, linewidth=1.1, alpha=0.75)
    axis.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axis.grid()


def _curve_metrics(curves: pd.DataFrame, limit: int) -> list[str]:
    """The loss first, then the validation's figures, then what most models report."""
    counts = curves["metric"].value_counts()
    names = [str(name) for name in counts.index if name not in _NOT_LEARNT]
    ranked = sorted(names, key=lambda name: (name != "loss", not name.startswith("val_"), -counts[name], name))
    return ranked[:limit]


def _source_legend(axis: Axes, sources: Sequence[str]) -> tuple[list[Any], list[str]]:
    lines = [axis.plot([], [], color=method_colour(place + 1))[0] for place in range(len(sources))]
    return lines, [f"trained on {source}" for source in sources]

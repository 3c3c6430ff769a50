"""Figures as SVG text: drawn without a display, the same bytes every time, in the ink of the page around them."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from reports.colours import DIAGONAL, STOPS, method_colour, shade
from reports.frames import matrix_frame
from reports.results import Results
from reports.robustness import RATES

_INK = "#010203"  # stands for the page's text colour until the SVG is written
_SCALE = LinearSegmentedColormap.from_list("chance", list(STOPS))
_STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.6,
    "svg.fonttype": "none",
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color"), _INK
    ),
}
_NOT_LEARNT = ("learning_rate", "seconds", "images_per_second")
METRIC_NAMES = {"accuracy": "accuracy", "auroc": "AUROC"}
RATE_NAMES = {
    "robust_accuracy": "robust accuracy",
    "fake_to_real": "fakes that then pass for real",
    "real_to_fake": "reals that then pass for fake",
}


def matrices_figure(results: Results, detector: str) -> str:
    """Every matrix of a detector: a row a metric, a column a method; the diagonal is framed: in-dataset."""
    side = max(1.9, 0.5 * len(results.tests) + 0.4)
    columns = len(results.adaptations)
    with _figure(f"matrix {detector}", columns * side + 0.8, 2 * side + 0.7) as (figure, done):
        axes = figure.subplots(2, columns, squeeze=False, sharex=True, sharey=True)
        for row, metric in zip(axes, METRIC_NAMES, strict=True):
            for axis, adaptation in zip(row, results.adaptations, strict=True):
                _heatmap(axis, matrix_frame(results, detector, adaptation, metric))
                axis.set_title(adaptation if metric == "accuracy" else "")
            row[0].set_ylabel(f"{METRIC_NAMES[metric]}\ntrained on")
        for axis in axes[-1]:
            axis.set_xlabel("tested on")
    return done()


def gains_figure(gains: pd.DataFrame, detector: str, adaptations: Sequence[str], baselines: Sequence[str]) -> str:
    """Accuracy gained over each baseline: a dot a pair of generators, and the mean with its 95 % interval."""
    ours = gains[(gains["detector"] == detector) & (gains["metric"] == "accuracy")]
    shown = [name for name in adaptations if name in set(ours["adaptation"])]
    with _figure(f"gains {detector}", 7.6, 0.85 + 0.56 * len(shown)) as (figure, done):
        axis = figure.subplots()
        axis.axvline(0, color=_INK, linewidth=0.8)
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
    with _figure(f"attack {attack} {detector}", 10.4, 3.1) as (figure, done):
        for axis, rate in zip(figure.subplots(1, len(RATES), sharey=True), RATES, strict=True):
            for place, adaptation in enumerate(adaptations):
                part = ours[ours["adaptation"] == adaptation].sort_values("epsilon")
                if len(part):
                    _band(axis, part, rate, adaptation if rate == RATES[0] else "", method_colour(place))
            axis.set_title(RATE_NAMES[rate])
            axis.set_xlabel("ε, pixel steps of 0-255")
            axis.set_ylim(-0.03, 1.03)
            axis.grid()
        figure.legend(loc="outside lower center", frameon=False, ncols=min(6, len(adaptations)))
    return done()


def curves_figure(curves: pd.DataFrame, detector: str, adaptations: Sequence[str], limit: int = 4) -> str:
    """Learning curves: a row a metric, a column a method, a line a model, coloured by its train generator."""
    ours = curves[curves["detector"] == detector]
    shown = [name for name in adaptations if name in set(ours["adaptation"])]
    metrics = _curve_metrics(ours, limit)
    sources = list(dict.fromkeys(ours["source"]))
    with _figure(f"curves {detector}", 1.2 + 2.1 * len(shown), 0.8 + 1.5 * len(metrics)) as (figure, done):
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


def standalone(svg: str) -> str:
    """A figure of the page as a file of its own: dark ink on white."""
    return svg.replace("<svg ", '<svg style="color:#14181d;background:#fff;font-family:sans-serif" ', 1)


@contextmanager
def _figure(name: str, width: float, height: float) -> Iterator[tuple[Figure, Callable[[], str]]]:
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):  # ids are unique on a page with several figures
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        text: list[str] = []
        yield figure, lambda: text[0]
        text.append(_svg(figure))


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    nothing: dict[str, Any] = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg ") :].replace(_INK, "currentColor")
    text = re.sub(r"\n <defs>\n  <style.*?</defs>", "", text, count=1, flags=re.DOTALL)  # would style the whole page
    text = re.sub(r" font-family: [^;]*;", "", text)
    return re.sub(r' id="[a-zA-Z0-9.]+_[^"]*"', "", text).replace("<svg ", '<svg role="img" ', 1)


def _heatmap(axis: Axes, matrix: pd.DataFrame) -> None:
    values = matrix.to_numpy(dtype=np.float64)
    edges = (np.arange(n + 1) - 0.5 for n in values.shape[::-1])
    axis.pcolormesh(*edges, np.ma.masked_invalid(values), cmap=_SCALE, vmin=0, vmax=1, edgecolors="w", linewidth=0.8)
    axis.set_aspect("equal")
    axis.set_ylim(values.shape[0] - 0.5, -0.5)
    for row, source in enumerate(matrix.index):
        for column, test in enumerate(matrix.columns):
            value = values[row, column]
            ink = shade(value)[1] if math.isfinite(value) else _INK
            text = f"{value:.2f}" if math.isfinite(value) else "·"
            axis.text(column, row, text, ha="center", va="center", color=ink, fontsize=8.5)
            if source == test:
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


def _band(axis: Axes, part: pd.DataFrame, rate: str, label: str, colour: str) -> None:
    epsilon = part["epsilon"].to_numpy(dtype=np.float64)
    value, low, high = (part[rate + end].to_numpy(dtype=np.float64) for end in ("", "_low", "_high"))
    axis.fill_between(epsilon, low, high, color=colour, alpha=0.15, linewidth=0)
    axis.plot(epsilon, value, "o-", color=colour, markersize=3.5, linewidth=1.6, label=label)


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

"""The critical-difference diagram: methods on a line by mean rank, tied together where they do not differ."""

from __future__ import annotations

import math

from matplotlib.axes import Axes

from reports.drawing import INK, figure_of
from reports.ranks import Ranking

_TIES = 0.32
"""Heights are in lines of text: between two bars that tie methods together, and below the axis before the first."""


def critical_difference_figure(ranking: Ranking, detector: str) -> str:
    """The best method to the left; a bar joins methods whose mean ranks are less than the critical difference apart.

    Demsar 2006, figure 1.
    """
    methods = len(ranking.ranks)
    lines = math.ceil(methods / 2)
    below = _TIES * (len(ranking.alike) + 1)
    with figure_of(f"ranks {detector}", 7.6, 0.75 + 0.24 * (lines + below)) as (figure, done):
        axis = figure.subplots()
        axis.set_axis_off()
        axis.set_xlim(1 - 0.3 * (methods - 1), methods + 0.3 * (methods - 1))
        axis.set_ylim(-below - lines - 0.2, 2.4)
        _scale(axis, methods, ranking.critical_difference)
        for place, names in enumerate(ranking.alike):
            ends = [ranking.ranks[names[0]] - 0.03, ranking.ranks[names[-1]] + 0.03]
            axis.plot(ends, [-_TIES * (place + 1)] * 2, color=INK, linewidth=3.2, solid_capstyle="butt")
        for place, (name, rank) in enumerate(ranking.ranks.items()):
            left = place < lines
            line = place if left else methods - 1 - place
            _label(axis, f"{name}  {rank:.2f}", rank, -below - line - 0.5, 1 if left else methods, left=left)
    return done()


def _scale(axis: Axes, methods: int, difference: float) -> None:
    axis.plot([1, methods], [0, 0], color=INK, linewidth=0.8)
    for rank in range(1, methods + 1):
        axis.plot([rank, rank], [0, 0.2], color=INK, linewidth=0.8)
        axis.text(rank, 0.35, str(rank), ha="center", va="bottom", fontsize=8.5)
    end = 1 + difference
    axis.plot([1, 1, 1, end, end, end], [1.5, 1.8, 1.65, 1.65, 1.8, 1.5], color=INK, linewidth=0.8)
    axis.text(1, 1.9, f"critical difference {difference:.2f}", ha="left", va="bottom", fontsize=8.5)


def _label(axis: Axes, text: str, rank: float, height: float, edge: float, *, left: bool) -> None:
    """A method's name at the side, tied to its rank on the axis by a line."""
    axis.plot([rank, rank, edge], [0, height, height], color=INK, linewidth=0.6)
    axis.annotate(
        text,
        (edge, height),
        ((-4 if left else 4), 0),
        textcoords="offset points",
        ha="right" if left else "left",
        va="center",
    )

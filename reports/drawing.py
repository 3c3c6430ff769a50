"""How figures become SVG text: without a display, the same bytes every time, in the ink of the page around them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK = "#010203"
"""Stands for the page's text colour until the SVG is written."""

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
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "grid.color"), INK
    ),
}


def standalone(svg: str) -> str:
    """A figure of the page as a file of its own: dark ink on white."""
    return svg.replace("<svg ", '<svg style="color:#14181d;background:#fff;font-family:sans-serif" ', 1)


@contextmanager
def figure_of(name: str, width: float, height: float) -> Iterator[tuple[Figure, Callable[[], str]]]:
    """A figure to draw on, inches wide and high; once the block is left, the function given with it has the SVG.

    Args:
        name: no two figures of one page may share it.
    """
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
    text = text[text.index("<svg ") :].replace(INK, "currentColor")
    text = re.sub(r"\n <defs>\n  <style.*?</defs>", "", text, count=1, flags=re.DOTALL)  # would style the whole page
    text = re.sub(r" font-family: [^;]*;", "", text)
    return re.sub(r' id="[a-zA-Z0-9.]+_[^"]*"', "", text).replace("<svg ", '<svg role="img" ', 1)

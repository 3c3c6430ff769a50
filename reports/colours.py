"""One colour scale for pages and figures: safe for colour-blind readers, white where a detector tosses a coin."""

from __future__ import annotations

from itertools import pairwise

STOPS = ((0.0, "#9a4a06"), (0.25, "#eeb273"), (0.5, "#f6f4ee"), (0.75, "#86b3d6"), (1.0, "#0f4379"))
"""Accuracy or AUROC to colour: orange below chance (inverted), blue above."""

DIAGONAL = "#f2b705"
"""The frame of an in-dataset entry."""

DARK, LIGHT = "#000000", "#ffffff"

_MIDDLE = 0.179  # luminance on which black and white stand out alike, 4.6 to 1

METHODS = ("#5b6570", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d1f")
"""Okabe and Ito's categorical palette behind a grey for the baseline; methods beyond it start over."""


def shade(value: float) -> tuple[str, str]:
    """The background of a cell, and the ink that is read on it.

    Args:
        value: in 0-1; chance is 0.5.
    """
    red, green, blue = _between(min(1.0, max(0.0, value)))
    ink = DARK if _luminance(red, green, blue) > _MIDDLE else LIGHT
    return f"#{red:02x}{green:02x}{blue:02x}", ink


def method_colour(position: int) -> str:
    """The colour of a method by its place in the study."""
    return METHODS[position % len(METHODS)]


def _between(value: float) -> tuple[int, int, int]:
    for (low, first), (high, second) in pairwise(STOPS):
        if value <= high:
            share = (value - low) / (high - low)
            red, green, blue = (
                round(a + share * (b - a)) for a, b in zip(_channels(first), _channels(second), strict=True)
            )
            return red, green, blue
    return _channels(STOPS[-1][1])


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(*channels: int) -> float:
    """Relative luminance of an sRGB colour (WCAG 2), 0-1."""
    linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

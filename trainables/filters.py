"""Fixed high-pass filters of steganalysis: what an image has left once every pixel's neighbours have predicted it.

The 30 linear residual models of Fridrich & Kodovsky 2012 ("Rich Models for Steganalysis of Digital Images", section
II-A), made from their definitions. As integers they are what the paper prints; every one sums to 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Kernel = NDArray[np.int64]
"""(5, 5) weights, of the pixels around the one in the middle."""

AROUND = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
"""Rows and columns to the eight neighbours, counterclockwise from the right."""
RIGHT, DOWN = (0, 1), (1, 0)

FIRST = {0: -1, 1: 1}
SECOND = {-1: 1, 0: -2, 1: 1}
THIRD = {-1: -1, 0: 3, 1: -3, 2: 1}
"""Weights by the number of steps from the middle: derivatives of order 1 to 3."""

SQUARE_3 = np.pad(np.array([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]]), 1)
SQUARE_5 = np.array([[-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2], [2, -6, 8, -6, 2], [-1, 2, -2, 2, -1]])


def line(weights: Mapping[int, int], towards: tuple[int, int]) -> Kernel:
    """A derivative in the direction of a neighbour."""
    kernel = np.zeros((5, 5), np.int64)
    for steps, weight in weights.items():
        kernel[2 + steps * towards[0], 2 + steps * towards[1]] = weight
    return kernel


def edges(square: Kernel) -> list[Kernel]:
    """The upper half of a square with its middle row, and that turned by one, two and three quarters."""
    half = square * (np.arange(5) <= 2)[:, None]
    return [np.rot90(half, quarters) for quarters in range(4)]


def four_models() -> list[Kernel]:
    """Those of the 30 that look along rows, along columns, and the same way in all directions, at 3x3 and at 5x5."""
    return [line(SECOND, RIGHT), line(SECOND, DOWN), SQUARE_3, SQUARE_5]


def rich_models() -> list[Kernel]:
    """All 30: 8 of first order, 4 of second, 8 of third; 3x3 square and its 4 edges, 5x5 square and its 4 edges."""
    return [
        *(line(FIRST, towards) for towards in AROUND),
        *(line(SECOND, towards) for towards in AROUND[:4]),
        *(line(THIRD, towards) for towards in AROUND),
        *(SQUARE_3, *edges(SQUARE_3)),
        *(SQUARE_5, *edges(SQUARE_5)),
    ]

"""Lines of a photograph that must meet: of parallel edges, of shadows and their objects, of reflections.

Under a camera without distortion the images of parallel lines of the scene meet in one point, their vanishing point;
those of lines in parallel planes have their vanishing points on one line; the lines from points of a shadow through
the points that cast it meet in the image of the light; and the lines from points to their reflections in one plane
mirror meet in one point. Farid 2022, "Perspective (in)consistency of paint by text" (arXiv 2206.14617); shadows: Kee,
O'Brien & Farid 2013, "Exposing photo manipulation with inconsistent shadows" (ACM TOG 32(3)); geometry: Hartley &
Zisserman 2004, chapters 2 and 8.

Points are (x, y) in pixels. A point where lines meet is homogeneous, (x, y, w): it may lie at infinity. N segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trainables.errors import InputError

Array = NDArray[np.float64]

ROUNDS = 10
"""Times that the weights of a fit are computed anew; after three or four the point has settled."""

DISTINCT = 1e-6
"""Share of the largest singular value below which the second says that all lines are one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """The point that fits best where lines meet.

    Attributes:
        point: (3,) homogeneous, of length 1, in pixels.
        residuals: (N,) pixels that both ends of a segment must be moved, across it, for its line to pass through.
        sides: (N,) 1 where a segment points, from its first end to its second, to the point; -1 where away from it. 0
            throughout where the point is at infinity, where both are the same.
    """

    point: Array
    residuals: Array
    sides: NDArray[np.int64]

    @property
    def at(self) -> Array | None:
        """(2,) pixels; None where the point is at infinity."""
        return None if _at_infinity(self.point) else np.asarray(self.point[:2] / self.point[2])

    def within(self, pixels: float) -> bool:
        """Whether every line passes through the point, if its ends were marked to this many pixels."""
        return bool((self.residuals <= pixels).all())


def meeting(segments: ArrayLike) -> Meeting:
    """Where the lines of marked segments meet: the vanishing point of parallel edges, the place of a mirror image.

    The residual of segment i is ``h_i |l_i . v| / |v_xy - w m_i|``, with l_i its line (of a normal of length 1), m_i
    its middle and h_i half its length: how far its ends lie from the line through its middle and the point v. The sum
    of their squares is made small by a few rounds of least squares, each an SVD with the denominators of the round
    before, in coordinates centred and scaled as Hartley 1997 has it.

    Args:
        segments: (N, 2, 2), both ends of each; N at least 3, for two lines always meet.

    Raises:
        InputError: too few segments; one without length; numbers that are not finite; all on one line.
    """
    given = _segments(segments, least=3)
    centre, scale = given.mean(axis=(0, 1)), float(given.std())
    ends = (given - centre) / scale
    middles, halves = ends.mean(axis=1), np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) / 2
    lines = _lines(ends)
    point = _null(lines, "all segments lie on one line")
    for _ in range(ROUNDS):
        weights = halves / np.maximum(_distances(point, middles), 1e-9)
        point = _null(lines * weights[:, None], "all segments lie on one line")
    residuals = scale * halves * np.abs(lines @ point) / np.maximum(_distances(point, middles), 1e-9)
    found = np.array([*(scale * point[:2] + point[2] * centre), point[2]])
    return Meeting(point=found / np.linalg.norm(found), residuals=residuals, sides=_sides(ends, point))


def light(objects: ArrayLike, shadows: ArrayLike) -> Meeting:
    """The image of the one light that casts these shadows: where the lines from shadows through their objects meet.

    All ``sides`` of one light are equal: 1 where it is in front of the camera, -1 where behind it.

    Args:
        objects, shadows: (N, 2) pixels, points and where their shadows fall; N at least 3.

    Raises:
        InputError: as ``meeting``.
    """
    return meeting(np.stack([np.asarray(shadows, dtype=np.float64), np.asarray(objects, dtype=np.float64)], axis=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """The line that fits best through vanishing points.

    Attributes:
        line: (3,) a, b, c of ``a x + b y + c = 0``, with (a, b) of length 1.
        angles: degrees between each vanishing point and the line, as seen by the camera that was assumed.
    """

    line: Array
    angles: Array


def horizon(points: Sequence[Meeting], size: tuple[int, int], focal: float | None = None) -> Horizon:
    """The vanishing line of parallel planes: of all edges that are level, say, whatever way they run.

    The line minimises the sum of squared sines of the angles between it and the vanishing points on the sphere around
    the camera (Barnard 1983, "Interpreting perspective images"), where a point at infinity is like any other.

    Args:
        points: of three sets of parallel lines or more, all of whose planes are parallel.
        size: width and height of the image, uncropped: the camera looks at its middle.
        focal: length in pixels; half the diagonal, a wide angle, if not known.

    Raises:
        InputError: fewer than three points, or all in one place.
    """
    if len(points) < 3:
        raise InputError("two points always lie on one line: mark a third set of lines", value=len(points))
    width, height = size
    f = focal or np.hypot(width, height) / 2
    rays = np.array([[p.point[0] - p.point[2] * width / 2, p.point[1] - p.point[2] * height / 2, p.point[2] * f]
                     for p in points])  # fmt: skip
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    normal = _null(rays, "all vanishing points are in one place")
    if np.hypot(*normal[:2]) < 1e-12:
        raise InputError("these vanishing points lie at infinity: their planes face the camera and have no horizon")
    line = np.array([normal[0], normal[1], normal[2] * f - normal[:2] @ [width / 2, height / 2]])
    angles = np.degrees(np.arcsin(np.clip(np.abs(rays @ normal), 0, 1)))
    return Horizon(line=line / np.hypot(*line[:2]), angles=angles)


def _segments(segments: ArrayLike, least: int) -> Array:
    given = np.asarray(segments, dtype=np.float64)
    if given.ndim != 3 or given.shape[1:] != (2, 2) or not np.isfinite(given).all():
        raise InputError("a segment is two points (x, y), in finite numbers", value=given.shape)
    if len(given) < least:
        raise InputError(f"two lines always meet: mark {least} segments at the least", value=len(given))
    if empty := np.flatnonzero((given[:, 0] == given[:, 1]).all(axis=1)).tolist():
        raise InputError("these segments have no length", value=f"segments {empty[:5]}")
    return given


def _lines(ends: Array) -> Array:
    """(N, 3) a, b, c of the lines through both ends of each segment, with (a, b) of length 1."""
    homogeneous = np.concatenate([ends, np.ones((len(ends), 2, 1))], axis=2)
    lines = np.cross(homogeneous[:, 0], homogeneous[:, 1])
    return np.asarray(lines / np.linalg.norm(lines[:, :2], axis=1, keepdims=True))


def _null(rows: Array, problem: str) -> Array:
    """(3,) of length 1, least changed by the rows: the right singular vector of the smallest singular value.

    Raises:
        InputError: the rows leave a whole plane of such vectors.
    """
    _, values, vectors = np.linalg.svd(rows)
    if values[1] <= DISTINCT * values[0]:
        raise InputError(f"{problem}: they determine nothing")
    return np.asarray(vectors[2])


def _distances(point: Array, middles: Array) -> Array:
    """(N,) |v_xy - w m_i|."""
    return np.asarray(np.linalg.norm(point[:2] - point[2] * middles, axis=1))


def _sides(ends: Array, point: Array) -> NDArray[np.int64]:
    if _at_infinity(point):
        return np.zeros(len(ends), dtype=np.int64)
    towards = point[:2] / point[2] - ends.mean(axis=1)
    along = ((ends[:, 1] - ends[:, 0]) * towards).sum(axis=1)
    return np.where(along > 0, 1, -1).astype(np.int64)


def _at_infinity(point: Array) -> bool:
    return bool(abs(point[2]) <= 1e-9 * np.hypot(*point[:2]))

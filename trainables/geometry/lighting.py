"""The light that shades an object, as a person marked it: spherical harmonics of the normals, fitted to intensities.

A matt convex object under distant light has the intensity ``E(n) = sum_lm A_l L_lm Y_lm(n)`` where its unit normal is
n, and order 2 holds 98 % of it or more: nine numbers L_lm say what the light is (Ramamoorthi & Hanrahan 2001, "On the
relationship between radiance and irradiance", JOSA A 18; Basri & Jacobs 2003). Two objects of one photograph are lit
alike (Johnson & Farid 2007, "Exposing digital forgeries in complex lighting environments", IEEE TIFS 2(3); Farid
2022, "Lighting (in)consistency of paint by text", arXiv 2207.13744).

Normals are (x, y, z): x to the right of the image, y upwards, z towards the camera. N points.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trainables.errors import InputError

Array = NDArray[np.float64]

TRANSFER: Mapping[int, float] = {0: np.pi, 1: 2 * np.pi / 3, 2: np.pi / 4}
"""A_l, by which a matt surface passes on the light of order l: the harmonic coefficients of a clamped cosine."""

ORDERS = np.array([0, 1, 1, 1, 2, 2, 2, 2, 2])
"""l of every coefficient; m goes from -l to l."""

WORST = 100.0
"""Condition number of a fit above which an error of 1 % in the intensities may be one of 100 % in the light."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lighting:
    """The light on one object.

    Attributes:
        coefficients: L_lm, (4,) to order 1 or (9,) to order 2, in units of intensity by albedo.
        residual: root mean square of what the fit leaves of the intensities, as a share of theirs.
        condition: of the fit; how many times a relative error of the intensities may grow.
    """

    coefficients: Array
    residual: float
    condition: float

    @property
    def direction(self) -> Array:
        """(3,) unit vector towards the brightest side, by order 1: (L_11, L_1-1, L_10).

        Fit to order 1 for it: where only the half that faces the camera is seen, order 2 takes up part of z. Even
        then a lamp beside the camera's view is told to some 30 degrees only, one in front of the object to some 10.

        Raises:
            InputError: the light has no direction.
        """
        vector = self.coefficients[[3, 1, 2]]
        length = float(np.linalg.norm(vector))
        if length <= 1e-12 * float(np.abs(self.coefficients).max(initial=1e-300)):
            raise InputError("this light comes from everywhere alike and has no direction")
        return np.asarray(vector / length)


def harmonics(normals: ArrayLike) -> Array:
    """The real spherical harmonics Y_lm of orders 0, 1 and 2, orthonormal over the sphere.

    Ramamoorthi & Hanrahan 2001, "An efficient representation for irradiance environment maps", equation 3.

    Args:
        normals: (N, 3) unit vectors.

    Returns:
        (N, 9), columns by l and within it by m from -l to l.
    """
    x, y, z = np.asarray(normals, dtype=np.float64).T
    first, cross, ring, edge = (np.sqrt(v / np.pi) / 2 for v in (3.0, 15.0, 5 / 4, 15 / 4))
    constant = np.full_like(x, 1 / np.sqrt(4 * np.pi))
    order_1 = [first * y, first * z, first * x]
    order_2 = [cross * x * y, cross * y * z, ring * (3 * z**2 - 1), cross * x * z, edge * (x**2 - y**2)]
    return np.stack([constant, *order_1, *order_2], axis=1)


def shading(coefficients: ArrayLike, normals: ArrayLike) -> Array:
    """(N,) intensities ``sum_lm A_l L_lm Y_lm(n)`` of a matt surface of albedo 1 where these are its normals.

    Args:
        coefficients: (4,) or (9,) L_lm.
        normals: (N, 3) unit vectors.
    """
    light = np.asarray(coefficients, dtype=np.float64)
    return np.asarray(_responses(normals, len(light)) @ light)


def lighting(normals: ArrayLike, intensities: ArrayLike, *, order: int = 2, worst: float = WORST) -> Lighting:
    """The light that explains an object's shading best, by least squares.

    Args:
        normals: (N, 3) of places on one object of one albedo, of any length but 0; those in cast shadows, highlights
            and where the image is saturated are left out by who marks them.
        intensities: (N,) of these places, in linear light: of a photograph as it is saved, with its gamma undone.
        order: 1 or 2.
        worst: condition number that is still accepted.

    Raises:
        InputError: fewer places than coefficients; a normal of no length; numbers that are not finite; intensities
            that are 0 throughout; normals that vary too little to tell the coefficients apart.
    """
    if order not in (1, 2):
        raise InputError("light is described to order 1 or 2", value=order)
    units, seen = _places(normals, intensities, int((order + 1) ** 2))
    responses = _responses(units, (order + 1) ** 2)
    condition = float(np.linalg.cond(responses))
    if not condition <= worst:
        fix = "mark places that face more directions, or ask for `order=1`"
        raise InputError("these normals vary too little to tell the light", value=f"condition {condition:.3g}", fix=fix)
    light = np.linalg.lstsq(responses, seen, rcond=None)[0]
    residual = float(np.linalg.norm(seen - responses @ light) / np.linalg.norm(seen))
    return Lighting(coefficients=np.asarray(light), residual=residual, condition=condition)


def difference(first: Lighting, second: Lighting) -> float:
    """How differently two objects are lit, in [0, 1]: 0 if alike up to brightness and ambient light, 1 if opposite.

    ``(1 - r) / 2``, with r the correlation over all normals of the shadings of two white spheres under these lights;
    as the Y_lm are orthonormal, ``r = sum A_l^2 L_lm M_lm / sqrt(sum A_l^2 L_lm^2 * sum A_l^2 M_lm^2)`` over l > 0. The
    objects' albedos and the exposure cancel out, and ambient light does not count: Johnson & Farid 2007, section II-C.

    Raises:
        InputError: the lights are of different orders, or one of them has no direction.
    """
    if len(first.coefficients) != len(second.coefficients):
        found = f"{len(first.coefficients)} and {len(second.coefficients)} coefficients"
        raise InputError("lights are compared to the same order", value=found)
    count = len(first.coefficients)
    weights = np.array([TRANSFER[order] for order in ORDERS[:count]])
    ours, theirs = (weights[1:] * light.coefficients[1:] for light in (first, second))
    lengths = float(np.linalg.norm(ours)), float(np.linalg.norm(theirs))
    if min(lengths) <= 1e-12 * max(*lengths, 1e-300):
        raise InputError("one of these lights comes from everywhere alike: there is nothing to compare")
    return float(np.clip((1 - ours @ theirs / (lengths[0] * lengths[1])) / 2, 0, 1))


def of_sphere(points: ArrayLike, centre: ArrayLike, radius: float) -> Array:
    """(N, 3) normals of a sphere where it is seen at these points: ``(dx, -dy, sqrt(r^2 - dx^2 - dy^2)) / r``.

    The camera is taken to be far from the sphere: its outline is a circle.

    Args:
        points: (N, 2) pixels, x to the right and y down.
        centre: (2,) of the outline, in pixels.
        radius: of the outline, in pixels.

    Raises:
        InputError: the radius is not above 0, or a point is not within the outline.
    """
    if not radius > 0:
        raise InputError("the radius of a sphere is above 0", value=radius)
    offsets = (np.asarray(points, dtype=np.float64) - np.asarray(centre, dtype=np.float64)) / radius
    squares = (offsets**2).sum(axis=1)
    if outside := np.flatnonzero(~(squares < 1)).tolist():
        raise InputError("these points are not within the sphere's outline", value=f"points {outside[:5]}")
    return np.stack([offsets[:, 0], -offsets[:, 1], np.sqrt(1 - squares)], axis=1)


def _responses(normals: ArrayLike, count: int) -> Array:
    """(N, count): what light of each harmonic alone makes of these normals."""
    weights = np.array([TRANSFER[order] for order in ORDERS[:count]])
    return np.asarray(harmonics(normals)[:, :count] * weights)


def _places(normals: ArrayLike, intensities: ArrayLike, wanted: int) -> tuple[Array, Array]:
    """Unit normals and their intensities."""
    given, seen = np.asarray(normals, dtype=np.float64), np.asarray(intensities, dtype=np.float64)
    if given.ndim != 2 or given.shape[1] != 3 or seen.shape != given.shape[:1]:
        raise InputError("every place has a normal (x, y, z) and an intensity", value=(given.shape, seen.shape))
    if len(given) < wanted:
        raise InputError(f"{wanted} coefficients need {wanted} places at the least", value=len(given))
    lengths = np.linalg.norm(given, axis=1)
    if not np.isfinite([*lengths, *seen]).all() or not (lengths > 0).all():
        raise InputError("normals have a length, and all numbers are finite")
    if not seen.any():
        raise InputError("all intensities are 0: there is no light to tell")
    return given / lengths[:, None], seen

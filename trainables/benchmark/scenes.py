"""What is in front of the camera: dead leaves under a 1/f texture, in linear light.

Overlapping leaves of power-law sizes share the edge and spectrum statistics of photographs (Lee, Mumford and
Huang 2001; Baradad et al. 2021 train on them). Real and fake images show scenes of the same law, so that only
the way an image was made can tell them apart.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

LEAVES = 400
SMALLEST = (0.02, 0.5)
"""Range of a scene's smallest leaf, a radius as a share of its side: from cluttered to nearly bare."""
LARGEST = 1.0
TEXTURE_SLOPE = 1.1
TEXTURE_CONTRAST = (0.02, 0.40)
"""Range of the texture's standard deviation, as a share of the local brightness."""


def render_scene(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """A random scene, (side, side, 3) float32, linear light 0-1."""
    leaves = _dead_leaves(rng, side)
    contrast = rng.uniform(*TEXTURE_CONTRAST)
    textured: NDArray[np.float32] = leaves * (1 + np.float32(contrast) * _texture(rng, side)[..., None])
    return textured.clip(0, 1)


def _dead_leaves(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """Discs and quadrilaterals, each over the ones before it, of radii with density r^-3."""
    smallest = np.exp(rng.uniform(*np.log(SMALLEST)))
    radii = _power_law(rng.random(LEAVES), smallest, LARGEST) * side
    centres = rng.integers(0, side, (LEAVES, 2))
    colours = rng.beta(1.2, 1.8, (LEAVES, 3))
    angles = np.sort(rng.uniform(0, 2 * np.pi, (LEAVES, 4)), axis=1)
    corners = centres[:, None] + radii[:, None, None] * np.stack([np.cos(angles), np.sin(angles)], axis=2)
    corners = corners.astype(np.int32)
    is_disc = rng.random(LEAVES) < 0.5
    canvas = np.empty((side, side, 3), np.float32)
    canvas[:] = colours[0]
    for k in range(LEAVES):
        if is_disc[k]:
            cv2.circle(canvas, centres[k].tolist(), int(radii[k]), colours[k].tolist(), cv2.FILLED)
        else:
            cv2.fillConvexPoly(canvas, corners[k], colours[k].tolist())
    return canvas


def _power_law(uniform: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Radii of density r^-3 between low and high from uniform draws, by inversion of the distribution function."""
    return 1 / np.sqrt(low**-2 - uniform * (low**-2 - high**-2))


def _texture(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """Gaussian noise whose amplitude spectrum falls as 1/f^1.1, mean 0, standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((side, side))) / frequency**TEXTURE_SLOPE
    texture = np.fft.irfft2(spectrum, s=(side, side))
    normalised: NDArray[np.float32] = (texture / texture.std()).astype(np.float32)
    return normalised

"""How a camera makes an image of a scene: optics, a Bayer sensor with noise, demosaicing, tone curve, JPEG."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

SUPERSAMPLING = 2
"""Scene pixels per sensor pixel, along a side."""
GAMMA = 2.2

_BILINEAR_RED_BLUE = np.array([[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]], np.float32)
_BILINEAR_GREEN = np.array([[0, 0.25, 0], [0.25, 1, 0.25], [0, 0.25, 0]], np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A source of real images.

    Attributes:
        phase: row and column (0 or 1) of the red photosites in the 2x2 Bayer cell; blue lies diagonally opposite.
        demosaic: ``bilinear``, or ``edge_aware`` (green along the weaker gradient, then colour differences).
        blur: range of the optics' Gaussian blur, sigma in scene pixels.
        shot: range of the shot noise: variance at half of full light.
        read: standard deviation of the read noise.
    """

    phase: tuple[int, int]
    demosaic: Literal["bilinear", "edge_aware"]
    blur: tuple[float, float] = (0.7, 1.1)
    shot: tuple[float, float] = (0.002, 0.008)
    read: float = 0.004


CAMERAS: Mapping[str, Camera] = {
    "compact": Camera(phase=(0, 0), demosaic="bilinear"),
    "reflex": Camera(phase=(0, 1), demosaic="edge_aware", shot=(0.001, 0.005), read=0.003),
    "phone": Camera(phase=(1, 1), demosaic="edge_aware", blur=(0.8, 1.3), shot=(0.004, 0.012), read=0.006),
}


def photograph(camera: Camera, scene: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """What the camera makes of a scene: half its side, linear light, its noise and demosaicing traces in it."""
    light = project(scene, rng.uniform(*camera.blur))
    masks = _bayer_masks(camera.phase, light.shape[:2])
    raw = (light * masks).sum(axis=2)
    variance = rng.uniform(*camera.shot) * 0.5 * raw + camera.read**2
    raw += rng.standard_normal(raw.shape, np.float32) * np.sqrt(variance)
    demosaic = _demosaic_bilinear if camera.demosaic == "bilinear" else _demosaic_edge_aware
    return np.clip(demosaic(raw, masks), 0, 1)


def project(scene: NDArray[np.float32], blur: float) -> NDArray[np.float32]:
    """The scene through the optics onto the sensor's grid, noiseless and in full colour."""
    side = scene.shape[0] // SUPERSAMPLING
    blurred = cv2.GaussianBlur(scene, (0, 0), blur)
    return cv2.resize(blurred, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)


def encode_jpeg(image: NDArray[np.float32], quality: int) -> bytes:
    """The image file: tone curve, 8 bits, JPEG with 4:2:0 chroma. Real and fake images both end here."""
    levels = np.round(np.clip(image, 0, 1) ** (1 / GAMMA) * 255).astype(np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    _, data = cv2.imencode(".jpg", cv2.cvtColor(levels, cv2.COLOR_RGB2BGR), options)
    return data.tobytes()


def _bayer_masks(phase: tuple[int, int], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """(H, W, 3), 1 where a photosite measures that colour."""
    row, column = phase
    masks = np.zeros((*shape, 3), np.float32)
    masks[row::2, column::2, 0] = 1
    masks[1 - row :: 2, 1 - column :: 2, 2] = 1
    masks[..., 1] = 1 - masks[..., 0] - masks[..., 2]
    return masks


def _demosaic_bilinear(raw: NDArray[np.float32], masks: NDArray[np.float32]) -> NDArray[np.float32]:
    kernels = (_BILINEAR_RED_BLUE, _BILINEAR_GREEN, _BILINEAR_RED_BLUE)
    return np.dstack([_filter(raw * masks[..., c], kernel) for c, kernel in enumerate(kernels)])


def _demosaic_edge_aware(raw: NDArray[np.float32], masks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Hamilton and Adams 1997: green along the weaker gradient, red and blue by their difference to green."""
    across, difference = np.array([[0.5, 0, 0.5]], np.float32), np.array([[1, 0, -1]], np.float32)
    curvature = np.array([[-1, 0, 2, 0, -1]], np.float32)
    estimates, gradients = [], []
    for turn in (np.asarray, np.transpose):
        second = _filter(raw, turn(curvature))
        estimates.append(_filter(raw, turn(across)) + second / 4)
        gradients.append(np.abs(_filter(raw, turn(difference))) + np.abs(second))
    green = np.where(gradients[0] <= gradients[1], estimates[0], estimates[1])
    green = np.where(masks[..., 1] == 1, raw, green)
    red, blue = (green + _filter((raw - green) * masks[..., c], _BILINEAR_RED_BLUE) for c in (0, 2))
    return np.dstack([red, green, blue])


def _filter(image: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    # OpenCV correlates; every kernel here is symmetric or read in absolute value, so that is a convolution.
    return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101).astype(np.float32, copy=False)

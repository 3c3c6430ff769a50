"""A perceptual hash: 64 bits that hardly change when an image is re-encoded or resized."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_SIDE, _LOW = 32, 8
FLAT = 1.0
"""Grey levels: an image in which no wave has this amplitude has no hash. Its bits would be those of its noise, and
all plain images would look alike."""

_UNIT = _SIDE / 2
"""The orthonormal DCT-II of a wave of one grey level along both axes."""


def perceptual_hash(grey: NDArray[np.uint8]) -> str:
    """16 hex digits, or blank for an image with too little in it.

    The image is reduced to 32x32 by averaging areas; of its orthonormal two-dimensional DCT-II the 8x8 lowest
    frequencies, the mean among them, are compared with their median: one bit each, row by row. This is the hash of
    Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), as the package ImageHash has
    it, but for the way in which the image is reduced and the scale of the frequencies along one axis only.

    Args:
        grey: (H, W) uint8.
    """
    low = cv2.dct(_reduced(grey))[:_LOW, :_LOW].ravel()
    ordered = np.sort(low)
    # The mean is the greatest, and says nothing of waves.
    if max(-ordered[0], ordered[-2]) < FLAT * _UNIT:
        return ""
    return np.packbits(low > (ordered[31] + ordered[32]) / 2).tobytes().hex()


def _reduced(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(32, 32) float32. While the image is large it is halved, which OpenCV does ten times as fast."""
    height, width = grey.shape
    while min(height, width) >= 8 * _SIDE:
        height, width = height // 2, width // 2
        # An odd row or column is dropped: with it, the factor would not be two.
        grey = np.asarray(cv2.resize(grey[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA))
    return np.asarray(cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.float32)

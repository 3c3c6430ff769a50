"""The operations that decoders' traces come down to."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FINE = 0.8
"""Sigma in pixels of the blur that separates fine detail from the rest."""
MATCHED = 1.2
"""Sigma of the blur that sets what must match in energy: what costs bytes in a JPEG file."""
OFFSET = 0.15
"""Share of a pattern that is added whatever the brightness, as a bias in a decoder's last layer does."""


def gain_detail(image: NDArray[np.float32], gain: float) -> NDArray[np.float32]:
    """Fine detail made stronger (gain > 0) or weaker (gain < 0): ``x + gain (x - blur(x))``."""
    return image + np.float32(gain) * _detail(image, FINE)


def refill_detail(
    image: NDArray[np.float32], like: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """White grain added until the image has as much fine detail as another; unchanged if it has more already.

    A generator learns how much detail photographs have, not where it belongs. Without this rule the fakes that
    lack detail would be told by the size of their files.
    """
    missing = float(np.var(_detail(like, MATCHED)) - np.var(_detail(image, MATCHED)))
    if missing <= 0:
        return image
    grain = _detail(rng.standard_normal(image.shape, np.float32), MATCHED)
    return image + grain * np.float32(np.sqrt(missing) / grain.std())


def _detail(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """What a blur takes away."""
    return image - cv2.GaussianBlur(image, (0, 0), sigma)


def imprint(image: NDArray[np.float32], pattern: NDArray[np.float32], strength: float) -> NDArray[np.float32]:
    """A periodic pattern, mostly as a gain: ``x (1 + s P) + 0.15 s P``, P the pattern tiled from the corner.

    Args:
        image: (H, W, 3), linear light 0-1.
        pattern: (p, p, 3), mean 0.
        strength: s, the relative gain where the pattern is 1.
    """
    height, width = image.shape[:2]
    period = pattern.shape[0]
    tiles = np.tile(pattern, (-(-height // period), -(-width // period), 1))[:height, :width]
    return image + np.float32(strength) * tiles * (image + np.float32(OFFSET))

"""The scoring loop: a detector over many images, in evaluation mode, without gradients."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.contract import Pixels
from trainables.detector import Detector, as_input, evaluating

BATCH = 256


def score(detector: Detector, pixels: Pixels, device: str = "cpu", batch: int = BATCH) -> NDArray[np.float32]:
    """P(fake) of every image, (N,) float32.

    Args:
        detector: moved to the device; its training mode is left as it was.
        pixels: (N, H, W, 3) uint8, read batch by batch.
        device: where to compute.
        batch: images at a time; the scores do not depend on it.
    """
    return infer(detector, detector.probability, pixels, device, batch)


def log_odds(detector: Detector, pixels: Pixels, device: str = "cpu", batch: int = BATCH) -> NDArray[np.float32]:
    """log P(fake) / P(real) of every image, (N,) float32: the scores before they saturate at 0 and 1."""
    return infer(detector, detector.log_odds, pixels, device, batch)


def infer(
    detector: Detector, function: Callable[[Tensor], Tensor], pixels: Pixels, device: str = "cpu", batch: int = BATCH
) -> NDArray[np.float32]:
    """What ``function`` makes of (B, 3, H, W) images in [0, 1], for all images, one after the other.

    Args:
        detector: the model behind ``function``.
        function: one of the detector's methods: ``probability``, ``log_odds``, ``features`` …
    """
    detector.to(device)
    if not len(pixels):
        return np.zeros(0, np.float32)
    with evaluating(detector), torch.inference_mode():
        starts = range(0, len(pixels), batch)
        results = [function(as_input(pixels[i : i + batch], device)) for i in starts]
        return torch.cat(results).float().cpu().numpy()

"""The scoring loop: a detector over many images, in evaluation mode, without gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.contract import FAKE, Context, Images, Pixels
from trainables.data.stack import Stack
from trainables.detector import Detector, as_input, evaluating
from trainables.prefetch import DEPTH, ahead, pays, ready

BATCH = 256

Score = TypeVar("Score", np.float32, np.float64)


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
    parts = (ready(pixels[start : start + batch], device) for start in range(0, len(pixels), batch))
    depth = DEPTH if pays(pixels, device) else 0
    with evaluating(detector), ahead(parts, depth) as batches, torch.inference_mode():
        results = [function(as_input(part, device)) for part in batches]
        return torch.cat(results).float().cpu().numpy()


def batch_of(context: Context) -> int:
    """Images at a time where memory is the context's: fewer where a batch of training had to be taken in parts."""
    return BATCH // context.accumulate


def part_of(pixels: Pixels, context: Context) -> Pixels:
    """This worker's part of the images, read when it is asked for; the workers' parts in rank order are all images."""
    if context.world_size == 1:
        return pixels
    first, last = (len(pixels) * rank // context.world_size for rank in (context.rank, context.rank + 1))
    return Stack([pixels], np.arange(first, last))


def per_image(images: Images, scores: NDArray[np.float32]) -> dict[str, np.float32]:
    """The score of every image by its digest: the mean over those of its squares that count.

    Args:
        images: as the reader gives them, the squares of an image one after the other.
        scores: (N,) of the squares.
    """
    digests = [digest_of(square) for square in images.ids[:: images.views]]
    means = scores if images.views == 1 else counted(scores, images.views, images.top).mean(axis=1)
    return dict(zip(digests, means, strict=True))


def labels_by_image(images: Images) -> dict[str, int]:
    """Of every image by its digest whether it is fake, 1, whatever kind of fake."""
    digests = [digest_of(square) for square in images.ids[:: images.views]]
    return dict(zip(digests, np.minimum(images.labels[:: images.views], FAKE).tolist(), strict=True))


def seen_whole(odds: NDArray[np.float64], views: int, top: int | None = None) -> NDArray[np.float64]:
    """(N,) log odds of squares to those of images, (N / views,): of the mean P(fake) of an image's ``top`` squares."""
    if views == 1:
        return odds
    squares = counted(odds, views, top)
    fake, real = (np.logaddexp.reduce(-np.logaddexp(0, sign * squares), axis=1) for sign in (-1, 1))
    whole: NDArray[np.float64] = fake - real
    return whole


def counted(scores: NDArray[Score], views: int, top: int | None = None) -> NDArray[Score]:
    """(N,) scores of squares to those that count, (N / views, top): of each image the highest; all if not given."""
    squares = scores.reshape(-1, views)
    return squares if top in (None, views) else np.sort(squares, axis=1)[:, views - top :]


def digest_of(square: str) -> str:
    """The image's digest in the id of one of its squares."""
    return square.partition("/")[0]

"""What held-out labelled images say of a detector: after an epoch of a fit, and of a head that is solved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from trainables.contract import FAKE, Context, Images
from trainables.detector import Detector
from trainables.metrics import detection_metrics
from trainables.score import batch_of, log_odds, part_of, seen_whole


def validated(detector: Detector, images: Images, context: Context) -> dict[str, float]:
    """The figures of the detector as it is, each worker scoring its part of the images."""
    found = log_odds(detector, part_of(images.pixels, context), context.device, batch_of(context))
    return figures(context.gather(found).astype(np.float64), images)


def figures(z: NDArray[np.float64], images: Images) -> dict[str, float]:
    """``val_accuracy``, ``val_auroc`` (only of both classes) and ``val_loss``, the cross-entropy, of images seen whole.

    Args:
        z: (N,) log odds of their squares.
    """
    whole = seen_whole(z, images.views, images.top)
    labels = np.minimum(images.labels[:: images.views], FAKE)
    found = detection_metrics(labels, expit(whole))
    loss = np.logaddexp(0, np.where(labels == FAKE, -whole, whole)).mean()
    kept = {f"val_{name}": found[name] for name in ("accuracy", "auroc") if name in found}
    return {**kept, "val_loss": float(loss)}

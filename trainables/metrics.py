"""Figures of detection quality; label 1 (fake) is the positive class."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics

THRESHOLD = 0.5
ECE_BINS = 15

Scores = NDArray[np.float64]
Labels = NDArray[np.int64]


def detection_metrics(labels: ArrayLike, scores: ArrayLike) -> dict[str, float]:
    """All figures of one set of scored images.

    An image is called fake if its score is above .5. Figures that one class alone does not define are left out
    where only real or only fake images are given.

    Args:
        labels: (N,) 0 real, 1 fake.
        scores: (N,) P(fake) in [0, 1].

    Returns:
        ``n``, ``accuracy``, ``ece``; with both classes ``balanced_accuracy``, ``auroc``, ``ap``, ``eer``, ``f1``,
        ``precision``; with fakes ``recall`` and ``fake_to_real`` (share of fakes called real); with reals
        ``real_to_fake`` (share of reals called fake).

    Raises:
        ValueError: no images, a label other than 0 and 1, or a score outside [0, 1].
    """
    y, p = _checked(labels, scores)
    called = (p > THRESHOLD).astype(np.int64)
    figures = {"n": float(len(y)), "accuracy": _mean(called == y), "ece": expected_calibration_error(y, p)}
    if (y == 1).any():
        recall = _mean(called[y == 1] == 1)
        figures |= {"recall": recall, "fake_to_real": 1 - recall}
    if (y == 0).any():
        figures["real_to_fake"] = _mean(called[y == 0] == 1)
    if len(np.unique(y)) == 2:
        figures |= {
            "balanced_accuracy": float(metrics.balanced_accuracy_score(y, called)),
            "auroc": float(metrics.roc_auc_score(y, p)),
            "ap": float(metrics.average_precision_score(y, p)),
            "eer": equal_error_rate(y, p),
            "f1": float(metrics.f1_score(y, called, zero_division=0)),
            "precision": float(metrics.precision_score(y, called, zero_division=0)),
        }
    return figures


def equal_error_rate(labels: Labels, scores: Scores) -> float:
    """The error at which as many reals are called fake as fakes are called real.

    Read off the ROC curve, straight lines between its points, where the false positive rate x equals the false
    negative rate.
    """
    fpr, tpr, _ = metrics.roc_curve(labels, scores, drop_intermediate=False)
    gap = fpr - (1 - tpr)
    after = int(np.argmax(gap >= 0))
    before = max(after - 1, 0)
    span = gap[after] - gap[before]
    share = -gap[before] / span if span > 0 else 0.0
    return float(fpr[before] + share * (fpr[after] - fpr[before]))


def expected_calibration_error(labels: Labels, scores: Scores, bins: int = ECE_BINS) -> float:
    """Mean distance of P(fake) from the share of fakes, over equal bins of P(fake) weighted by their images.

    Guo et al. 2017 (arXiv 1706.04599), equation 3, for the probability of the positive class; bins are
    ``(k/bins, (k+1)/bins]``, with 0 in the first.
    """
    place = np.clip(np.ceil(scores * bins).astype(np.int64) - 1, 0, bins - 1)
    excess = np.bincount(place, weights=scores - labels, minlength=bins)
    return float(np.abs(excess).sum() / len(labels))


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[Labels, Scores]:
    y, p = np.asarray(labels, np.int64), np.asarray(scores, np.float64)
    if y.shape != p.shape or y.ndim != 1 or not len(y):
        raise ValueError(f"labels and scores must be two equally long vectors, but got {y.shape} and {p.shape}")
    if not np.isin(y, (0, 1)).all():
        raise ValueError(f"labels must be 0 (real) or 1 (fake), but got {np.unique(y).tolist()}")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"scores must lie in [0, 1], but range from {p.min()} to {p.max()}")
    return y, p


def _mean(values: NDArray[np.bool_]) -> float:
    return float(np.mean(values))

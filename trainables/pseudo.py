"""Pseudo-labels: a detector's own predictions of target images, taken as labels for further training.

Fakes of an unseen generator are often *confidently* called real. Labels taken by confidence alone then say "real" of
nearly everything, and training on them makes it so. Every choice here is therefore made class by class, by quota.

N target images, C classes, D features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainables.calibration import threshold
from trainables.contract import AdaptationData, Context, Images, Outcome, Pixels, Unlabelled
from trainables.data.stack import Stack

if TYPE_CHECKING:
    import torch

    from trainables.detector import Detector

Index = NDArray[np.int64]
Floats = NDArray[np.float64]

ONE_SIDED = 0.8
"""Share of one class among pseudo-labels above which they are called one-sided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """What a detector makes of images.

    Attributes:
        features: (N, D) float32.
        logits: (N, C) float64.
    """

    features: NDArray[np.float32]
    logits: Floats

    @property
    def probs(self) -> Floats:
        """(N, C), the softmax of the logits."""
        raised = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        probs: Floats = raised / raised.sum(axis=1, keepdims=True)
        return probs

    @property
    def log_odds(self) -> Floats:
        """(N,) log P(fake) / P(real), fake being all classes but the first."""
        odds: Floats = np.logaddexp.reduce(self.logits[:, 1:], axis=1) - self.logits[:, 0]
        return odds

    @property
    def labels(self) -> Index:
        """(N,) real or fake by the log odds, as the detector is scored; of a fake, its likeliest class."""
        labels: Index = np.where(self.log_odds > 0, 1 + self.logits[:, 1:].argmax(axis=1), 0)
        return labels

    @property
    def confidence(self) -> Floats:
        """(N,) the label's probability."""
        confidence: Floats = self.probs[np.arange(len(self.logits)), self.labels]
        return confidence

    @property
    def prior(self) -> float:
        """The share of the images that is called fake."""
        return called_fake(self.log_odds)

    def take(self, index: Index) -> Predicted:
        """Of the images at these positions, in this order."""
        return Predicted(features=self.features[index], logits=self.logits[index])

    def at_prior(self, prior: float | None) -> Predicted:
        """The same, with the fake classes' logits shifted so that this share of the images is called fake.

        It is what ``recalibrate`` does to a detector (``calibration.threshold``). Nothing is shifted if no prior is
        given.
        """
        if prior is None:
            return self
        shifted = self.logits.copy()
        shifted[:, 1:] -= threshold(self.log_odds, prior)
        return replace(self, logits=shifted)


def predict(detector: Detector, pixels: Pixels, context: Context) -> Predicted:
    """Features and logits of all images, in evaluation mode; each worker computes its part, and all get the same."""
    import torch

    from trainables.score import infer, part_of

    def both(images: torch.Tensor) -> torch.Tensor:
        features = detector.features(images)
        return torch.cat([features, detector.classify(features)], dim=1)

    found = infer(detector, both, part_of(pixels, context), context.device)
    found = context.gather(found.reshape(-1, detector.feature_dim + detector.classes))
    features, logits = found[:, : detector.feature_dim], found[:, detector.feature_dim :]
    return Predicted(features=features, logits=logits.astype(np.float64))


def choose(labels: Index, scores: Floats, quotas: Index) -> Index:
    """Positions, in rising order, of the ``quotas[c]`` images of every class c that score highest.

    A class with fewer images than its quota gives all it has. Of equal scores, the first in order goes first.

    Args:
        labels: (N,), 0 to C - 1.
        scores: (N,); images of score ``-inf`` are never chosen.
        quotas: (C,).
    """
    chosen = []
    for label, quota in enumerate(quotas):
        members = np.flatnonzero((labels == label) & (scores > -np.inf))
        best = np.argsort(-scores[members], kind="stable")[:quota]
        chosen.append(members[best])
    return np.sort(np.concatenate(chosen))


def apportion(total: int, sizes: Index) -> Index:
    """(C,) quotas in proportion to the classes' sizes, which add up to ``total`` exactly: largest remainders.

    No quota is larger than its class. Of equal remainders, the first class goes first.

    Args:
        total: at most the sum of the sizes.
        sizes: (C,) images of every class.
    """
    whole = max(1, int(sizes.sum()))
    quotas = total * sizes // whole
    left = total - int(quotas.sum())
    quotas[np.argsort(-(total * sizes % whole), kind="stable")[:left]] += 1
    return quotas


def centroid_labels(features: NDArray[np.float32], probs: Floats, rounds: int = 1) -> Index:
    """(N,) the class whose centroid is nearest by cosine: SHOT's pseudo-labels.

    At first a class's centroid is the mean of all features weighted by the class's probability; then ``rounds`` times
    the mean of the images that were nearest to it. A class that is nearest to none keeps its centroid. Liang et al.
    2020 (arXiv 2002.08546), equations 5 and 6. As in the authors' code, a constant 1 is appended to the features.

    Args:
        features: (N, D).
        probs: (N, C).
    """
    directions = _unit(np.column_stack([features.astype(np.float64), np.ones(len(features))]))
    weights = probs
    centroids = np.zeros((probs.shape[1], directions.shape[1]))
    for _ in range(rounds + 1):
        masses = weights.sum(axis=0)[:, None]
        centroids = np.where(masses > 0, weights.T @ directions / np.where(masses > 0, masses, 1), centroids)
        labels: Index = (directions @ _unit(centroids).T).argmax(axis=1)
        weights = np.eye(probs.shape[1])[labels]
    return labels


def _unit(rows: Floats) -> Floats:
    unit: Floats = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit


def agreement(features: NDArray[np.float32], labels: Index, known: NDArray[np.float32], of: Index, k: int) -> Floats:
    """(N,) share of each image's k nearest known images, by Euclidean distance, that have its label.

    Args:
        features, labels: (N, D) and (N,) of the images that are judged.
        known, of: (M, D) features and (M,) labels of the images they are judged by.
        k: neighbours; all of them if there are fewer.
    """
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=min(k, len(known)), algorithm="brute").fit(known.astype(np.float64))
    nearest = search.kneighbors(features.astype(np.float64), return_distance=False)
    share: Floats = (of[nearest] == labels[:, None]).mean(axis=1)
    return share


def joined(source: Images, target: Unlabelled, moved: Index, labels: Index, kept: Index | None = None) -> Images:
    """Labelled source images, then target images with their pseudo-labels, as one set; no pixel is read.

    Args:
        moved: positions of the target images.
        labels: one for each of them.
        kept: positions of the source images; all of them if not given.
    """
    of_source = np.arange(len(source)) if kept is None else kept
    return Images(
        pixels=Stack([source.pixels, target.pixels], np.concatenate([of_source, len(source) + moved])),
        labels=np.concatenate([source.labels[of_source], labels]).astype(np.int64),
        ids=[*(source.ids[i] for i in of_source), *(target.ids[i] for i in moved)],
        generators=[*(source.generators[i] for i in of_source), *["target"] * len(moved)],
    )


def labelled(target: Unlabelled, labels: Index) -> Images:
    """The target's images with pseudo-labels, one for each."""
    return Images(pixels=target.pixels, labels=labels, ids=target.ids, generators=["target"] * len(target))


def subset(target: Unlabelled, index: Index) -> Unlabelled:
    """Some of the target's images; no pixel is read."""
    return Unlabelled(pixels=Stack([target.pixels], index), ids=[target.ids[i] for i in index])


def summary(labels: Index) -> dict[str, float]:
    """Figures of some pseudo-labels: how many, the share of fakes, and whether they are one-sided (1) or not (0)."""
    fake = float((labels > 0).mean()) if len(labels) else 0.0
    largest = float(np.bincount(labels).max() / len(labels)) if len(labels) else 0.0
    return {
        "pseudo_labels": float(len(labels)),
        "pseudo_fake": fake,
        "pseudo_one_sided": float(largest > ONE_SIDED),
    }


def called_fake(odds: NDArray[np.floating], cut: float = 0.0) -> float:
    """The share of images that is called fake: whose log odds are above the cut."""
    return float((odds > cut).mean())


def with_prior(outcome: Outcome, detector: Detector, data: AdaptationData, context: Context, **more: float) -> Outcome:
    """The outcome with ``predicted_prior``, the share of the target that is now called fake, and more figures.

    Near 0 or 1 the detector has collapsed to one class.
    """
    from trainables.score import log_odds

    odds = log_odds(detector, data.target.pixels, context.device)
    metrics: Mapping[str, float] = {**outcome.metrics, **more, "predicted_prior": called_fake(odds)}
    return replace(outcome, metrics=metrics, images=outcome.images + len(odds))

"""What a rule of selection may look at: what the detector of one epoch answers about images, never their pixels.

A rule is one file in this folder and one line in ``registry.SELECTIONS``. Its module has ``value(epoch) -> float``:
larger is better, NaN where it is undefined, and then nothing is raised or warned of. It is a function of its argument
alone, whatever the order of the images: what is random in it has a seed of its own, and what depends on their order
(folds, starts) first puts them into one (``trainables.selection.ordering``).

A rule that reads features is undefined where those of a set are not finite, or do not tell its images apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trainables.errors import LabelLeakError


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a detector says of N images.

    Attributes:
        log_odds: (N,) float64, log of P(fake) / P(real).
        features: (N, D) float32, what its head reads, of wide ones a fixed random projection; D = 0 if not kept.
        known: (N,) int64, 1 = fake; None for images of the target, whose labels nobody may ask for.
    """

    log_odds: NDArray[np.float64]
    features: NDArray[np.float32]
    known: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.log_odds)

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,), 1 = fake.

        Raises:
            LabelLeakError: the images are the target's.
        """
        if self.known is None:
            raise LabelLeakError("target images are unlabelled: selection must not read target labels")
        return self.known

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """(N, 2): P(real), P(fake)."""
        fake = np.exp(-np.logaddexp(0, -self.log_odds))
        real = np.exp(-np.logaddexp(0, self.log_odds))
        return np.stack([real, fake], axis=1)

    @property
    def predictions(self) -> NDArray[np.int64]:
        """(N,), 1 where the image is called fake: log odds above 0."""
        return (self.log_odds > 0).astype(np.int64)

    @property
    def defined(self) -> bool:
        """Whether there are images, and an answer to each: one that has diverged answers NaN."""
        return len(self) > 0 and not np.isnan(self.log_odds).any()

    @property
    def described(self) -> bool:
        """Whether these are answers whose features are finite and tell at least two images apart."""
        apart = bool((self.features != self.features[:1]).any())
        return self.defined and apart and bool(np.isfinite(self.features).all())

    @property
    def accuracy(self) -> float:
        """Share of images called what they are; NaN where the answers are not defined.

        Raises:
            LabelLeakError: the images are the target's.
        """
        right = self.predictions == self.labels
        return float(right.mean()) if self.defined else math.nan

    def take(self, index: NDArray[np.int64]) -> Answers:
        """What is said of the images at these positions, in this order."""
        known = None if self.known is None else self.known[index]
        return Answers(log_odds=self.log_odds[index], features=self.features[index], known=known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """The detector after one epoch.

    Attributes:
        source: of held-out source images, with labels.
        target: of the target's unlabelled images.
        third: of held-out fakes of other generators than the source and the target, by name; log odds only.
        oracle: of labelled held-out images of the target, for the rule ``oracle`` alone.
    """

    source: Answers
    target: Answers
    third: Mapping[str, Answers] = field(default_factory=dict)
    oracle: Answers | None = None

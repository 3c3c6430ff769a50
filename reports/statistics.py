"""Estimates with intervals: test images are resampled once, and every figure follows from the same resamples.

A *draw* is one resample of the test images. The resample of a set of images depends only on the images' names, so
two models scored on the same images are resampled together: the difference of their draws is the paired bootstrap,
and a mean over pairs of generators keeps the correlation that comes from the shared real images.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 2000
LEVEL = 0.95
THRESHOLD = 0.5
"""An image is called fake if its score is above this."""

SEEDS_TO_RESAMPLE = 3
"""From this many seeds on, an interval covers the choice of the seed too."""

ROUNDING = 1e-12
"""What differs from 0 by less is 0: sums of shares that cancel out leave this behind."""

METRICS = ("accuracy", "auroc", "fake_to_real", "real_to_fake")
_BLOCK = 8_000_000


@dataclass(frozen=True)
class Estimate:
    """A figure and what it would have been on resampled test images.

    Attributes:
        value: on the images themselves.
        draws: (B,) on the resamples.
    """

    value: float
    draws: Floats

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Both ends of the 95 % percentile interval; NaN where the figure is not defined."""
        if np.isnan(self.draws[0]):  # as all draws then are: the figure is the ledger's, or has no images
            return math.nan, math.nan
        tail = (1 - LEVEL) / 2
        low, high = np.quantile(self.draws, (tail, 1 - tail))
        return float(low), float(high)

    @property
    def low(self) -> float:
        return self.interval[0]

    @property
    def high(self) -> float:
        return self.interval[1]

    @property
    def clear(self) -> bool:
        """Whether the interval excludes 0; of a gain: whether there is one to speak of."""
        return self.low > ROUNDING or self.high < -ROUNDING

    def __sub__(self, other: Estimate) -> Estimate:
        return Estimate(self.value - other.value, self.draws - other.draws)


class Resampler:
    """Draws of names, seeded by the names: the same names are resampled alike wherever they turn up.

    Args:
        draws: B, how many resamples.
        seed: of all draws.
    """

    def __init__(self, draws: int = DRAWS, seed: int = 0) -> None:
        self.draws, self.seed = draws, seed
        self._known: dict[str, NDArray[np.uint8]] = {}

    def counts(self, names: Sequence[str]) -> NDArray[np.uint8]:
        """(n, B): how often each name is in each draw of n names with replacement."""
        if not names:
            return np.zeros((0, self.draws), dtype=np.uint8)
        key = hashlib.sha256("\n".join(names).encode()).hexdigest()
        if key not in self._known:
            rng = np.random.default_rng([self.seed, int(key[:16], 16)])
            picks = rng.integers(0, len(names), size=(self.draws, len(names)))
            cells = picks + np.arange(self.draws)[:, None] * len(names)
            flat = np.bincount(cells.ravel(), minlength=self.draws * len(names)).astype(np.uint8)
            self._known[key] = np.ascontiguousarray(flat.reshape(self.draws, len(names)).T)
        return self._known[key]


@dataclass(frozen=True, eq=False)
class Scores:
    """P(fake) of one model on one test set; rows sorted by label, generator and image.

    Attributes:
        images: (n,) ids.
        strata: (n,) the generator of each image, or its label where the generator is not known.
        fake: (n,) label 1.
        values: (n,) P(fake).
    """

    images: NDArray[np.object_]
    strata: NDArray[np.object_]
    fake: NDArray[np.bool_]
    values: Floats

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, score: str = "score") -> Scores:
        """From a table with ``image``, ``label``, the column ``score`` and, if known, ``generator``.

        Each image counts once, whatever number of rows it has.
        """
        strata = frame["generator" if "generator" in frame else "label"].astype(str).to_numpy(dtype=object)
        images = frame["image"].astype(str).to_numpy(dtype=object)
        labels = frame["label"].to_numpy(dtype=np.int64)
        order = np.lexsort((images, strata, labels))
        order = order[np.unique(images[order], return_index=True)[1]]
        order = order[np.lexsort((images[order], strata[order], labels[order]))]
        values = frame[score].to_numpy(dtype=np.float64)
        return cls(images[order], strata[order], labels[order] == 1, values[order])

    def __len__(self) -> int:
        return len(self.images)

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The images' names, one tuple a stratum."""
        cuts = np.flatnonzero((self.strata[1:] != self.strata[:-1]) | (self.fake[1:] != self.fake[:-1])) + 1
        return tuple(tuple(part) for part in np.split(self.images, cuts))

    def same_images(self, other: Scores) -> bool:
        """Whether both are scores of one test set."""
        return np.array_equal(self.images, other.images)

    def take(self, keep: NDArray[np.bool_]) -> Scores:
        """The rows where ``keep`` is true."""
        return Scores(self.images[keep], self.strata[keep], self.fake[keep], self.values[keep])


def estimate(scores: Scores, resampler: Resampler, metrics: Sequence[str] = METRICS) -> dict[str, Estimate]:
    """Some of ``METRICS``, with image-level bootstrap draws stratified by generator.

    A metric of a class that has no images is NaN.
    """
    once = _metrics(scores, np.ones((len(scores), 1), dtype=np.float32), metrics)
    blocks = [_metrics(scores, weights, metrics) for weights in _weights(scores, resampler)]
    draws = {name: np.concatenate([block[name] for block in blocks]) for name in metrics}
    return {name: Estimate(float(once[name][0]), draws[name]) for name in metrics}


def paired_gain(method: Scores, baseline: Scores, resampler: Resampler) -> dict[str, Estimate]:
    """The method's metrics minus the baseline's, on the images that both have scored, resampled together."""
    if not method.same_images(baseline):
        common = np.intersect1d(method.images, baseline.images)
        method, baseline = (s.take(np.isin(s.images, common)) for s in (method, baseline))
    first, second = estimate(method, resampler), estimate(baseline, resampler)
    return {name: first[name] - second[name] for name in METRICS}


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """The plain mean, draw by draw."""
    return Estimate(
        float(np.mean([e.value for e in estimates])), np.mean([e.draws for e in estimates], axis=0, dtype=np.float64)
    )


def over_seeds(by_seed: Mapping[int, Estimate], resampler: Resampler) -> Estimate:
    """The mean over seeds; from three seeds on, seeds are resampled first and images second.

    The seeds of one training share their test images, so each draw takes one resample of the seeds and one of the
    images (both factors crossed), and pairs of generators with the same seeds share both. Images resampled anew within
    each seed would average themselves out, as if every seed had been tested on images of its own. An interval of
    resampled seeds reaches from the lowest seed to the highest at most: of three, that spans the mean of all such
    trainings in 1 - 2 / 2^3 of all cases.
    """
    seeds = sorted(by_seed)
    plain = mean([by_seed[seed] for seed in seeds])
    if len(seeds) < SEEDS_TO_RESAMPLE:
        return plain
    weights = resampler.counts([f"seed {seed}" for seed in seeds]) / len(seeds)
    draws = np.stack([by_seed[seed].draws for seed in seeds])
    return Estimate(plain.value, np.asarray((weights * draws).sum(axis=0), dtype=np.float64))


def auroc(real: Floats, fake: Floats, real_weights: NDArray[np.float32], fake_weights: NDArray[np.float32]) -> Floats:
    """The chance that a fake scores above a real image, a tie counting half, under each column of weights.

    Mann-Whitney's U over the number of pairs: each fake's weight times the weight of the reals below it, which a
    cumulative sum over the sorted reals gives for all draws at once.

    Args:
        real, fake: (n0,) and (n1,) scores.
        real_weights, fake_weights: (n0, B) and (n1, B), each column summing to n0 and n1.
    """
    if not len(real) or not len(fake):
        return np.full(real_weights.shape[1], np.nan)
    order = np.argsort(real, kind="stable")
    below = np.zeros((len(real) + 1, real_weights.shape[1]), dtype=np.float32)
    for rank, image in enumerate(order):  # seven times as fast as np.cumsum along the first axis
        np.add(below[rank], real_weights[image], out=below[rank + 1])
    ranked = real[order]
    wins = below[np.searchsorted(ranked, fake, side="left")]
    wins += below[np.searchsorted(ranked, fake, side="right")]
    total: Floats = np.einsum("ib,ib->b", fake_weights, wins).astype(np.float64)
    return total / (2 * len(real) * len(fake))


def _weights(scores: Scores, resampler: Resampler) -> Iterator[NDArray[np.float32]]:
    counts = np.concatenate([resampler.counts(group) for group in scores.groups])
    step = max(1, _BLOCK // max(1, len(scores)))
    for start in range(0, resampler.draws, step):
        yield counts[:, start : start + step].astype(np.float32)


def _metrics(scores: Scores, weights: NDArray[np.float32], names: Sequence[str]) -> dict[str, Floats]:
    reals = int((~scores.fake).sum())
    fakes = len(scores) - reals
    wrong = ((scores.values > THRESHOLD) != scores.fake).astype(np.float32)
    real_errors = (wrong[:reals] @ weights[:reals]).astype(np.float64)
    fake_errors = (wrong[reals:] @ weights[reals:]).astype(np.float64)
    found = {
        "accuracy": 1 - _share(real_errors + fake_errors, len(scores)),
        "fake_to_real": _share(fake_errors, fakes),
        "real_to_fake": _share(real_errors, reals),
    }
    if "auroc" in names:
        found["auroc"] = auroc(scores.values[:reals], scores.values[reals:], weights[:reals], weights[reals:])
    return found


def _share(errors: Floats, images: int) -> Floats:
    return errors / images if images else np.full(errors.shape, np.nan)

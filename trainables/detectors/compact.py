"""Compact embeddings of fakes: an image that few directions of a generator's images explain is called that generator's.

Mundra, Porcile, Marvaniya, Verbus & Farid 2023, "Exposing GAN-generated profile photos from compact embeddings" (CVPR
Workshops), the linear embedding. With mu the mean and P (k, D) the first k principal components of a generator's
images, the score of an image x is the share of it that they leave over, ``e = |u - P^T P u|^2 / |u|^2`` with
``u = x - mu``, in [0, 1]; small is fake. The threshold is set on real images alone, at a stated rate of false alarms.

It learns from fakes only and tells those of their own kind: aligned faces of a GAN are of few dimensions, photographs
of anything are not. Elsewhere it is a baseline that is expected to fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from trainables.contract import REAL, Context, Images, Outcome
from trainables.contract import Config as MemberConfig
from trainables.errors import InputError
from trainables.seeding import generator

if TYPE_CHECKING:
    from trainables.detector import Detector

Array = NDArray[np.float64]


class Config(MemberConfig):
    """Parameters of ``compact``.

    Attributes:
        dimensions: k; where there are fewer fakes, one less than there are.
        side: height and width in pixels that images are brought to; D is three times its square.
        false_alarms: share of held-out real images that may be called fake.
        most: fakes that the components are fitted to, drawn at random where there are more.
    """

    dimensions: int = Field(default=128, ge=1)
    side: int = Field(default=64, ge=8, le=256)
    false_alarms: float = Field(default=0.01, gt=0, lt=1)
    most: int = Field(default=5000, ge=2)


def build(config: Config, classes: int) -> Detector:
    """A detector with random components until it is solved; no layers."""
    from torch import nn

    from trainables.detector import Detector
    from trainables.embedding import Embedding, Explained
    from trainables.resampling import Resampled

    return Detector(
        front=nn.Sequential(Resampled(config.side), nn.Flatten()),
        body=Embedding(3 * config.side**2, config.dimensions),
        head=Explained(classes),
        layers={},
        feature_dim=config.dimensions,
        min_size=8,
        classes=classes,
    )


def solve(config: Config, detector: Detector, source: Images, source_val: Images, context: Context) -> Outcome:
    """Fit the components to the source's fakes, and the threshold to held-out real images.

    Raises:
        InputError: there are fewer than two fakes, or no held-out real image.
    """
    from trainables.embedding import Embedding
    from trainables.fit import Fitted
    from trainables.held_out import figures
    from trainables.score import infer, log_odds

    fakes = source.pixels[_fakes(config, source, context.seed)]
    real = source_val.labels == REAL
    if not real.any():
        raise InputError("a threshold at a rate of false alarms needs held-out real images", value=0)
    assert isinstance(detector.body, Embedding)
    detector.body.learn(infer(detector, detector.front, fakes, context.device))
    held_out = infer(detector, detector.features, source_val.pixels[np.flatnonzero(real)], context.device)
    _calibrate(detector, 1 - np.square(held_out, dtype=np.float64).sum(axis=1), config.false_alarms)
    z = log_odds(detector, source_val.pixels, context.device).astype(np.float64)
    row = {"epoch": 1.0, **figures(z, source_val)}
    context.report(row)
    return Fitted(curves=(row,), chosen=0, images=len(fakes)).outcome()


def _fakes(config: Config, source: Images, seed: int) -> NDArray[np.int64]:
    """Positions of the fakes to learn from, at most as many as are wanted."""
    found = np.flatnonzero(source.labels != REAL)
    if len(found) < 2:
        raise InputError("principal components need two fakes at the least", value=len(found))
    if len(found) <= config.most:
        return found
    return np.sort(generator(seed, "fakes").choice(found, config.most, replace=False))


def _calibrate(detector: Detector, errors: Array, rate: float) -> None:
    """Set log odds to ``(t - e) / s``: t with at most this share of the real images' errors e below it, s their spread.

    t lies halfway between two errors, or just below the least where not one of so few images may be called fake.
    """
    ordered = np.sort(errors)
    allowed = int(rate * len(ordered) + 1e-9)
    below, above = ordered[max(allowed - 1, 0)], ordered[allowed]
    threshold = (below + above) / 2 if allowed else above * (1 - 1e-3)
    spread = max(float(ordered.std()), 1e-3)
    detector.scale.fill_(1 / spread)
    detector.shift.fill_(threshold / spread - np.log(detector.classes - 1))

"""Log odds made into probabilities: Platt scaling and temperature scaling, fitted on labelled images; and a threshold,
by a stated share of fakes.

``z(a, b) = logsumexp(a * fake logits) - a * real logit + b`` is fitted by maximum likelihood: a and b by Platt scaling
(Platt 1999, section 2), a alone by temperature scaling (Guo et al. 2017, arXiv 1706.04599, section 4.2; the
temperature is 1 / a). Both take Platt's smoothed labels ``(n_1 + 1) / (n_1 + 2)`` and ``1 / (n_0 + 2)``: without them
a detector that makes no mistake on these images would have no finite best fit.

Shapes: N images, C classes; class 0 is real.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logsumexp, softmax

from trainables.errors import InputError

Array = NDArray[np.float64]


def platt(logits: Array, labels: NDArray[np.int64]) -> tuple[float, float]:
    """a and b of Platt scaling.

    Args:
        logits: (N, C).
        labels: (N,), both classes among them.

    Raises:
        InputError: the images are of one class.
    """
    wanted = _smoothed(labels)
    found = minimize(_loss, x0=[1.0, 0.0], args=(logits, wanted), jac=True, method="BFGS", options={"gtol": 1e-8})
    return float(found.x[0]), float(found.x[1])


def temperature(logits: Array, labels: NDArray[np.int64]) -> float:
    """The temperature that the logits are divided by, in [.001, 1000].

    Args:
        logits: (N, C).
        labels: (N,), both classes among them.

    Raises:
        InputError: the images are of one class.
    """
    wanted = _smoothed(labels)

    def loss(a: Array) -> tuple[float, Array]:
        value, gradient = _loss(np.array([a[0], 0.0]), logits, wanted)
        return value, gradient[:1]

    options = {"ftol": 1e-14, "gtol": 1e-10}
    found = minimize(loss, x0=[1.0], jac=True, method="L-BFGS-B", bounds=[(1e-3, 1e3)], options=options)
    return float(1 / found.x[0])


def threshold(scores: Array, prior: float) -> float:
    """The cut between two distinct scores above which the share of scores is nearest to ``prior``.

    Equal scores stay on one side. Where all are equal no cut is better than another: it is 0, no change.
    """
    values, counts = np.unique(scores, return_counts=True)
    if len(values) < 2:
        return 0.0
    above = 1 - np.cumsum(counts)[:-1] / len(scores)
    nearest = int(np.argmin(np.abs(above - prior)))
    return float((values[nearest] + values[nearest + 1]) / 2)


def _smoothed(labels: NDArray[np.int64]) -> Array:
    fake = labels > 0
    ones, zeros = int(fake.sum()), int((~fake).sum())
    if not ones or not zeros:
        fix = "give it images of both classes"
        raise InputError("a calibration needs real and fake images", value=f"{zeros} real, {ones} fake", fix=fix)
    return np.where(fake, (ones + 1) / (ones + 2), 1 / (zeros + 2))


def _loss(parameters: Array, logits: Array, wanted: Array) -> tuple[float, Array]:
    """Mean cross-entropy and its gradient with respect to a and b."""
    a, b = parameters
    fake, real = logits[:, 1:], logits[:, 0]
    z = logsumexp(a * fake, axis=1) - a * real + b
    excess = (expit(z) - wanted) / len(z)
    slope = (softmax(a * fake, axis=1) * fake).sum(axis=1) - real
    value = (np.logaddexp(0, z) - wanted * z).mean()
    return float(value), np.array([excess @ slope, excess.sum()])

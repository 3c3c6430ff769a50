"""A detector's last linear layer refitted as a logistic regression on features that stay as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from trainables.contract import FAKE, Images
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.score import digest_of, infer
from trainables.solving import write_layer

STRENGTHS = tuple(10.0**power for power in range(-4, 3))
"""Inverse strengths C of the L2 penalty that are tried, on features scaled to mean 0 and variance 1."""
FOLDS = 5

Array = NDArray[np.float64]


def probe(detector: Detector, images: Images, seed: int, device: str) -> Mapping[str, float]:
    """Fit the head's last layer on labelled images and write it into the detector; its calibration starts anew.

    The detector's log odds become those of the regression: the real logit is -z/2, every fake one
    ``z/2 - log(C - 1)`` for C classes.

    Args:
        images: of both classes.
        seed: of the folds.

    Returns:
        The penalty chosen, and the mean log likelihood in its cross-validation; without the latter if there is one
        image of a class.

    Raises:
        InputError: the head does not end in a linear layer.
    """
    layer = last_linear(detector)
    features = inputs_of(layer, detector, images, device)
    fake = (images.labels >= FAKE).astype(np.int64)
    strength, told = _strength(features, fake, [digest_of(square) for square in images.ids], seed)
    scaler, regression = _regression(strength).fit(features, fake)
    weight = regression.coef_[0] / scaler.scale_
    bias = float(regression.intercept_[0] - weight @ scaler.mean_)
    write_layer(layer, weight, bias)
    own: Tensor | None = layer.bias
    detector.shift.fill_((bias if own is None else 0.0) - float(np.log(detector.classes - 1)))
    detector.scale.fill_(1)
    return {"probe_c": strength, **told}


def last_linear(detector: Detector) -> nn.Linear:
    """The layer that makes the logits.

    Raises:
        InputError: the head does not end in a linear layer.
    """
    found = [part for part in detector.head.modules() if not list(part.children())]
    if not found or not isinstance(found[-1], nn.Linear) or found[-1].out_features != detector.classes:
        raise InputError("the detector's head does not end in a linear layer", fix="leave the linear probe out for it")
    return found[-1]


def inputs_of(layer: nn.Linear, detector: Detector, images: Images, device: str) -> Array:
    """(N, D) what the layer is given for these images."""
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    def given(batch: Tensor) -> Tensor:
        detector.classify(detector.features(batch))  # the plain image, however many views it is scored by
        return seen.pop()

    try:
        return infer(detector, given, images.pixels, device).astype(np.float64)
    finally:
        hook.remove()


def _regression(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=10_000))


def _strength(
    features: Array, fake: NDArray[np.int64], digests: Sequence[str], seed: int
) -> tuple[float, dict[str, float]]:
    """The penalty of the best cross-validated likelihood, the strongest of equals; no image is in two folds.

    Args:
        digests: of the image that each row is a square of.
    """
    of_each = dict(zip(digests, fake.tolist(), strict=True))
    folds = min(FOLDS, int(np.bincount(list(of_each.values()), minlength=2).min()))
    if folds < 2:
        return 1.0, {}
    shuffled = StratifiedGroupKFold(folds, shuffle=True, random_state=seed % 2**32)
    split = list(shuffled.split(features, fake, groups=digests))
    likelihood = {
        c: float(cross_val_score(_regression(c), features, fake, cv=split, scoring="neg_log_loss").mean())
        for c in STRENGTHS
    }
    best = max(likelihood, key=lambda c: (likelihood[c], -c))
    return best, {"probe_log_likelihood": likelihood[best]}

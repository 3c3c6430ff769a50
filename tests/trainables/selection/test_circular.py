"""Circular validation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from tests.trainables.selection.epochs import confused, said, told_apart, unlabelled
from trainables.selection import circular
from trainables.selection.epoch import Answers, Epoch
from trainables.selection.regression import STRENGTH


def _by_newton(source: Answers, target: Answers) -> float:
    """Accuracy on the source of a regression with a separate optimiser, labels -1 and 1."""
    features = target.features.astype(float)
    mean, spread = features.mean(axis=0), features.std(axis=0)
    design = np.column_stack([(features - mean) / spread, np.ones(len(features))])
    sign = np.where(target.log_odds > 0, 1.0, -1.0)
    free = np.append(np.ones(features.shape[1]), 0.0) / STRENGTH

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        margins = sign * (design @ w)
        slopes = -sign / (1 + np.exp(margins))
        return float(np.log1p(np.exp(-margins)).sum() + (free * w * w).sum() / 2), design.T @ slopes + free * w

    w = minimize(loss, np.zeros(design.shape[1]), jac=True, method="Newton-CG", options={"xtol": 1e-10}).x
    asked = (source.features.astype(float) - mean) / spread
    right = [(row @ w[:-1] + w[-1] > 0) == bool(label) for row, label in zip(asked, source.labels, strict=True)]
    return sum(right) / len(right)


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_accuracy_of_a_regression_fitted_the_other_way_round(seed: int) -> None:
    source, target = told_apart(40, seed, width=3), told_apart(30, seed + 10, shift=1, width=3)
    noisy = replace(target, log_odds=target.log_odds + 12 * np.random.default_rng(seed).normal(size=30))
    value = circular.value(Epoch(source=source, target=unlabelled(noisy)))
    assert value == pytest.approx(_by_newton(source, noisy))


def test_by_hand_in_one_dimension() -> None:
    # two images of the target at -1 and 1 put the border at 0; the source has one image on the wrong side of it
    source = said([0.0] * 4, [[-2.0], [-1.0], [0.5], [3.0]], [0, 1, 1, 1])
    target = said([-1.0, 1.0], [[-1.0], [1.0]])
    assert circular.value(Epoch(source=source, target=target)) == 3 / 4
    assert circular.value(Epoch(source=source, target=replace(target, log_odds=-target.log_odds))) == 1 / 4


def test_predictions_of_one_class_lead_nowhere() -> None:
    source, target = told_apart(20, 0), unlabelled(told_apart(20, 1))
    assert math.isnan(circular.value(Epoch(source=source, target=replace(target, log_odds=np.full(20, -1.0)))))


def test_it_does_not_matter_what_the_detector_says_of_the_source() -> None:
    source, target = told_apart(40, 0), unlabelled(told_apart(40, 1))
    wrong = replace(source, log_odds=-source.log_odds)
    assert circular.value(Epoch(source=wrong, target=target)) == circular.value(Epoch(source=source, target=target))


def test_predictions_that_have_nothing_to_do_with_the_labels_lead_to_chance() -> None:
    value = circular.value(Epoch(source=confused(400, 0), target=unlabelled(confused(400, 1))))
    assert value == pytest.approx(0.5, abs=0.1)

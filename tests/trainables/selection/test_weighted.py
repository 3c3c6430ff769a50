"""Rules that weight the source as the target: the density ratio, ``iwv``, ``dev``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm, pearsonr

from tests.trainables.selection.epochs import confused, epoch_of, good, said, told_apart, unlabelled
from trainables.selection import dev, iwv
from trainables.selection.density_ratio import FOLDS, cross_entropies, density_ratios, weighted_losses
from trainables.selection.epoch import Answers, Epoch
from trainables.selection.ordering import in_order
from trainables.selection.regression import STRENGTH, log_odds_by

Array = np.ndarray


def _fitted(features: Array, labels: Array, asked: Array) -> Array:
    """Log odds by the penalised likelihood's own optimum, found by another solver."""
    mean, spread = features.mean(axis=0), features.std(axis=0)
    scaled, sign = (features - mean) / spread, 2 * labels - 1

    def loss(parameters: Array) -> float:
        margins = sign * (scaled @ parameters[:-1] + parameters[-1])
        return float(np.logaddexp(0, -margins).sum() + (parameters[:-1] ** 2).sum() / (2 * STRENGTH))

    found = minimize(loss, np.zeros(features.shape[1] + 1), method="BFGS", options={"gtol": 1e-6}).x
    return (asked - mean) / spread @ found[:-1] + found[-1]


def _weights(source: Answers, target: Answers) -> list[float]:
    """Weights one fold after the other, of answers that are in order."""
    weights = [0.0] * len(source)
    ours, theirs = source.features.astype(float), target.features.astype(float)
    for fold in range(min(FOLDS, len(source))):
        known = [i for i in range(len(source)) if i % FOLDS != fold]
        features = np.vstack([ours[known], theirs])
        domains = np.array([0] * len(known) + [1] * len(theirs))
        for i in range(fold, len(source), FOLDS):
            q = 1 / (1 + math.exp(-_fitted(features, domains, ours[[i]])[0]))
            weights[i] = len(known) / len(theirs) * q / (1 - q)
    return weights


def _losses(source: Answers) -> list[float]:
    fake = [1 / (1 + math.exp(-z)) for z in source.log_odds]
    return [-math.log(p if label else 1 - p) for p, label in zip(fake, source.labels, strict=True)]


@pytest.mark.parametrize("width", [1, 3])
def test_the_regression_is_the_optimum_of_its_penalised_likelihood(width: int) -> None:
    rng = np.random.default_rng(width)
    labels = np.arange(40) % 2
    features = (rng.normal(size=(40, width)) * 3 + labels[:, None]).astype(np.float32)
    asked = rng.normal(size=(7, width)).astype(np.float32)
    expected = _fitted(features.astype(float), labels, asked.astype(float))
    np.testing.assert_allclose(log_odds_by(features, labels, asked), expected, atol=1e-4)


@pytest.mark.parametrize(("n", "m", "width"), [(2, 2, 1), (3, 5, 1), (13, 9, 2), (24, 40, 3)])
def test_both_risks_fold_by_fold(n: int, m: int, width: int) -> None:
    source, target = told_apart(n, 5, width=width), unlabelled(told_apart(m, 6, shift=1, width=width))
    epoch = Epoch(source=source, target=target)
    weights, losses = np.array(_weights(in_order(source), in_order(target))), np.array(_losses(in_order(source)))
    weighted = weights * losses
    assert iwv.value(epoch) == pytest.approx(-np.mean(weighted), rel=1e-3)
    eta = -np.cov(weighted, weights)[0, 1] / np.var(weights, ddof=1)
    assert dev.value(epoch) == pytest.approx(-(np.mean(weighted) + eta * np.mean(weights) - eta), rel=1e-3, abs=2e-4)


def test_cross_entropies_by_hand() -> None:
    source = said([0.0, math.log(3), math.log(3), -math.inf, math.inf, -math.inf], known=[0, 1, 0, 0, 0, 1])
    expected = [math.log(2), math.log(4 / 3), math.log(4), 0, 700, 700]
    np.testing.assert_allclose(cross_entropies(source), expected, atol=1e-12)


def test_ratios_follow_those_of_two_normal_distributions() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(900, 1)), rng.normal(loc=0.7, size=(600, 1))
    ratios = density_ratios(said(np.zeros(900), ours), said(np.zeros(600), theirs))
    truth = norm.logpdf(ours[:, 0], loc=0.7) - norm.logpdf(ours[:, 0])
    assert pearsonr(np.log(ratios), truth).statistic > 0.99
    assert np.abs(np.log(ratios) - truth).mean() < 0.2  # the penalty holds it back
    assert ratios.mean() == pytest.approx(1, abs=0.1)


def test_an_image_has_no_part_in_its_own_weight() -> None:
    source, target = told_apart(9, 1), unlabelled(told_apart(9, 2))
    alone = replace(source, features=source.features.copy())
    alone.features[0] += 0.5
    before, after = (np.log(density_ratios(given, target)) for given in (source, alone))
    same = np.isclose(before, after, rtol=0, atol=1e-12)
    assert same.tolist() == [i % FOLDS == 0 and i > 0 for i in range(9)]


def test_no_ratio_or_loss_is_too_large_for_a_figure() -> None:
    source, target = told_apart(12, 1), told_apart(12, 2)
    far = replace(source, log_odds=np.where(source.labels == 1, -np.inf, np.inf))
    far.features[0] = 1e30
    found = weighted_losses(Epoch(source=far, target=unlabelled(target)))
    assert found is not None
    assert all(np.isfinite(part).all() for part in found)
    assert math.isfinite(dev.value(Epoch(source=far, target=unlabelled(target))))


def test_a_risk_with_a_control_variate_by_hand() -> None:
    # w l = 0, 1, 6: their mean is 7/3, that of the weights 4/3
    weights, losses = np.array([0.0, 1.0, 3.0]), np.array([5.0, 1.0, 2.0])
    covariance = (0 * 0 + 1 * 1 + 6 * 3) / 3 - (7 / 3) * (4 / 3)
    variance = (0 + 1 + 9) / 3 - (4 / 3) ** 2
    expected = 7 / 3 - covariance / variance * (4 / 3 - 1)
    assert dev.controlled_risk(weights, losses) == pytest.approx(expected)


@pytest.mark.parametrize("weights", [[1.0], [2.0, 2.0], [0.1, 0.1, 0.1]])
def test_weights_that_are_all_the_same_control_nothing(weights: list[float]) -> None:
    losses = np.arange(1.0, len(weights) + 1)
    expected = np.mean(np.array(weights) * losses)
    assert dev.controlled_risk(np.array(weights), losses) == pytest.approx(expected)


def test_a_loss_that_is_the_same_everywhere_is_the_risk_whatever_the_weights() -> None:
    weights = np.random.default_rng(0).gamma(2.0, size=50)
    assert dev.controlled_risk(weights, np.full(50, 0.3)) == pytest.approx(0.3)


@pytest.mark.parametrize("value", [iwv.value, dev.value])
def test_errors_where_the_target_is_cost_more(value: Callable[[Epoch], float]) -> None:
    """Of two detectors with as many errors on the source, the one that errs on what the target has is worse."""
    source = confused(120, 3)
    target = unlabelled(confused(120, 4, shift=2.0))
    like_target = source.features[:, -1] > np.median(source.features[:, -1])
    right = np.where(source.labels == 1, 3.0, -3.0)
    near = replace(source, log_odds=np.where(like_target, -right, right))
    far = replace(source, log_odds=np.where(like_target, right, -right))
    assert near.accuracy == far.accuracy
    assert value(Epoch(source=far, target=target)) > value(Epoch(source=near, target=target)) + 0.5


def test_without_two_images_of_each_domain_there_is_no_ratio() -> None:
    epoch = good(8)
    one = np.array([0])
    assert weighted_losses(replace(epoch, source=epoch.source.take(one))) is None
    assert weighted_losses(replace(epoch, target=epoch.target.take(one))) is None
    assert weighted_losses(epoch_of(epoch.source, told_apart(2, 1), told_apart(2, 2))) is not None

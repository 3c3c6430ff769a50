from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import roc_curve

from trainables.metrics import detection_metrics, equal_error_rate, expected_calibration_error


@pytest.fixture(scope="module")
def scored() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = (rng.random(400) < 0.3).astype(np.int64)
    return labels, np.clip(rng.normal(0.35 + 0.3 * labels, 0.2), 0, 1).round(2)


def test_counts_make_the_figures(scored: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = scored
    figures = detection_metrics(labels, scores)
    pairs = list(zip(labels.tolist(), scores.tolist(), strict=True))
    tp = sum(1 for y, p in pairs if y and p > 0.5)
    fp = sum(1 for y, p in pairs if not y and p > 0.5)
    fn = sum(1 for y, p in pairs if y and p <= 0.5)
    tn = sum(1 for y, p in pairs if not y and p <= 0.5)
    expected = {
        "n": 400,
        "accuracy": (tp + tn) / 400,
        "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
        "recall": tp / (tp + fn),
        "precision": tp / (tp + fp),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "fake_to_real": fn / (tp + fn),
        "real_to_fake": fp / (tn + fp),
    }
    assert {name: figures[name] for name in expected} == pytest.approx(expected)


def test_auroc_is_the_share_of_pairs_in_order(scored: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = scored
    gap = scores[labels == 1][:, None] - scores[labels == 0][None]
    expected = (gap > 0).mean() + (gap == 0).mean() / 2
    assert detection_metrics(labels, scores)["auroc"] == pytest.approx(expected)


def test_average_precision_is_the_mean_precision_at_each_fake() -> None:
    labels = np.array([1, 0, 1, 1, 0, 0])
    scores = np.array([0.9, 0.8, 0.7, 0.4, 0.3, 0.2])
    assert detection_metrics(labels, scores)["ap"] == pytest.approx((1 / 1 + 2 / 3 + 3 / 4) / 3)


def test_equal_error_rate_is_where_the_roc_crosses_the_antidiagonal(scored: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = scored
    fpr, tpr, _ = roc_curve(labels, scores)
    expected = brentq(lambda x: 1 - x - interp1d(fpr, tpr)(x), 0, 1)
    assert equal_error_rate(labels, scores) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("order", "expected"), [([0, 0, 1, 1], 0.0), ([1, 1, 0, 0], 1.0), ([0, 1, 0, 1], 0.5)])
def test_equal_error_rate_at_the_ends(order: list[int], expected: float) -> None:
    assert equal_error_rate(np.array(order), np.array([0.1, 0.2, 0.3, 0.4])) == pytest.approx(expected)


def test_calibration_error_bin_by_bin(scored: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = scored
    total = 0.0
    for k in range(15):
        inside = (scores > k / 15) & (scores <= (k + 1) / 15) if k else scores <= 1 / 15
        if inside.any():
            total += inside.sum() * abs(scores[inside].mean() - labels[inside].mean())
    assert expected_calibration_error(labels, scores) == pytest.approx(total / len(labels))


def test_one_class_gives_only_what_it_defines() -> None:
    scores = [0.1, 0.6, 0.9]
    assert set(detection_metrics([1, 1, 1], scores)) == {"n", "accuracy", "ece", "recall", "fake_to_real"}
    reals = detection_metrics([0, 0, 0], scores)
    assert set(reals) == {"n", "accuracy", "ece", "real_to_fake"}
    assert reals["real_to_fake"] == pytest.approx(2 / 3)


def test_a_detector_that_calls_nothing_fake_has_no_precision_but_a_figure() -> None:
    figures = detection_metrics([0, 1], [0.1, 0.5])
    assert (figures["precision"], figures["f1"], figures["fake_to_real"]) == (0, 0, 1)


@pytest.mark.parametrize(
    ("labels", "scores"),
    [([], []), ([0, 1], [0.5]), ([0, 2], [0.1, 0.2]), ([0, 1], [0.1, float("nan")]), ([0, 1], [0.1, 1.5])],
)
def test_what_is_no_set_of_scores_is_refused(labels: list[int], scores: list[float]) -> None:
    with pytest.raises(ValueError, match=r"labels|scores"):
        detection_metrics(labels, scores)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=1, max_size=30))
def test_all_figures_are_shares(pairs: list[tuple[int, int]]) -> None:
    figures = detection_metrics([y for y, _ in pairs], [p / 8 for _, p in pairs])
    assert all(-1e-12 <= value <= 1 + 1e-12 for name, value in figures.items() if name != "n")

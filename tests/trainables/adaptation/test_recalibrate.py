from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from torch import nn

from tests.trainables.toy import context, toy_images
from trainables.adaptation.recalibrate import Config, adapt
from trainables.calibration import platt, temperature, threshold
from trainables.contract import AdaptationData, Images
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.few import drawn
from trainables.score import log_odds, score


@pytest.mark.parametrize("prior", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("saturated", [0.0, 80.0])
def test_the_stated_share_of_the_target_is_called_fake(
    trained: Detector, data: AdaptationData, target: Images, tmp_path: Path, prior: float, saturated: float
) -> None:
    trained.shift += saturated
    before = log_odds(trained, target.pixels)
    outcome = adapt(Config(prior=prior), trained, data, context(tmp_path))
    after = score(trained, target.pixels)
    assert (after > 0.5).mean() == pytest.approx(prior, abs=1.5 / len(target))
    assert outcome.metrics["predicted_prior"] == pytest.approx(prior, abs=1.5 / len(target))
    np.testing.assert_allclose(
        log_odds(trained, target.pixels), before - outcome.metrics["threshold_log_odds"], atol=1e-4
    )


def test_without_ties_the_cut_is_the_quantile() -> None:
    scores = np.random.default_rng(0).normal(size=100)
    for prior in (0.25, 0.5, 0.8):
        assert threshold(scores, prior) == pytest.approx(np.quantile(scores, 1 - prior, method="hazen"))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=20), st.floats(0.05, 0.95))
def test_with_ties_no_other_cut_comes_nearer(values: list[int], prior: float) -> None:
    scores = np.array(values, np.float64)
    if len(set(values)) == 1:
        assert threshold(scores, prior) == 0
        return
    found = abs((scores > threshold(scores, prior)).mean() - prior)
    others = [abs((scores > cut).mean() - prior) for cut in np.arange(min(values), max(values)) + 0.5]
    assert found <= min(others) + 1e-12


def _noisy(count: int, seed: int, gain: float = 3.0, offset: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) logits whose log odds are off by a gain and an offset, and the labels."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 2, count)
    labels = (rng.random(count) < expit(truth)).astype(np.int64)
    z = gain * truth + offset
    return np.stack([-0.3 * z, 0.7 * z], axis=1), labels


def test_platt_scaling_is_that_of_sklearn() -> None:
    logits, labels = _noisy(400, seed=1)
    z = (logits[:, 1] - logits[:, 0])[:, None]
    identity = LogisticRegression(C=1e12).fit(np.array([[-1.0], [1.0]]), [0, 1])
    identity.coef_, identity.intercept_ = np.ones((1, 1)), np.zeros(1)  # its decision function is z itself
    reference = CalibratedClassifierCV(FrozenEstimator(identity), method="sigmoid").fit(z, labels)
    slope, shift = platt(logits, labels)
    expected = logit(reference.predict_proba(z)[:, 1])
    np.testing.assert_allclose(slope * z[:, 0] + shift, expected, atol=1e-2)
    assert slope == pytest.approx(1 / 3, abs=0.06)
    assert shift == pytest.approx(-2 / 3, abs=0.25)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_temperature_is_the_minimum_of_the_likelihood(classes: int) -> None:
    logits, labels = _noisy(400, seed=2, offset=0.0)
    logits = np.concatenate([logits, logits[:, 1:] - 1], axis=1)[:, :classes]
    ones, zeros = (labels == 1).sum(), (labels == 0).sum()
    wanted = np.where(labels == 1, (ones + 1) / (ones + 2), 1 / (zeros + 2))

    def loss(degree: float) -> float:
        probs = torch.softmax(torch.from_numpy(logits) / degree, dim=1).numpy()
        fake = probs[:, 1:].sum(axis=1)
        return float(-(wanted * np.log(fake) + (1 - wanted) * np.log(1 - fake)).mean())

    reference = minimize_scalar(loss, bounds=(0.1, 20), method="bounded", options={"xatol": 1e-9})
    assert temperature(logits, labels) == pytest.approx(reference.x, rel=1e-4)


def test_classes_that_are_told_apart_perfectly_have_a_finite_fit() -> None:
    labels = np.arange(40) % 2
    logits = np.stack([np.zeros(40), np.where(labels == 1, 5.0, -5.0)], axis=1)
    slope, shift = platt(logits, labels)
    assert 5 * slope == pytest.approx(logit(21 / 22), rel=1e-3)  # 20 of each: Platt's label of a fake
    assert shift == pytest.approx(0, abs=1e-3)
    assert 5 / temperature(logits, labels) == pytest.approx(logit(21 / 22), rel=1e-3)


@pytest.mark.parametrize("fit", [platt, temperature])
def test_one_class_is_refused(fit: Callable[..., object]) -> None:
    with pytest.raises(InputError, match="real and fake"):
        fit(np.zeros((4, 2)), np.ones(4, np.int64))


@pytest.mark.parametrize("how", ["platt", "temperature"])
@pytest.mark.parametrize("labels", ["source_val", "few"])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_fit_is_in_the_detectors_log_odds(
    how: str, labels: str, classes: int, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    head = nn.Linear(48, classes)
    detector = Detector(
        front=nn.Identity(), body=body, head=head, layers={}, feature_dim=48, min_size=32, classes=classes
    )
    detector.scale *= 2
    detector.shift += 0.4
    few = replace(data, few=toy_images(24, seed=4, period=4))
    images = drawn(few.few, 10, 0, "few", 0) if labels == "few" and few.few else data.source_val
    raw = _raw(detector, images)
    config = Config.model_validate({"how": how, "labels": labels})
    outcome = adapt(config, detector, few, context(tmp_path))
    of_target = torch.from_numpy(2 * _raw(detector, target))
    if how == "platt":
        slope, shift = platt(2 * raw, images.labels)
        moved = torch.stack([slope * of_target[:, k] + shift * (k > 0) for k in range(classes)], dim=1)
    else:
        degree = temperature(2 * raw + 0.4 * (np.arange(classes) > 0), images.labels)
        moved = (of_target + 0.4 * (torch.arange(classes) > 0)) / degree
        assert outcome.metrics["temperature"] == pytest.approx(degree, rel=1e-3)
    expected = (torch.logsumexp(moved[:, 1:], dim=1) - moved[:, 0]).numpy()
    np.testing.assert_allclose(log_odds(detector, target.pixels), expected, rtol=1e-3, atol=1e-3)


def _raw(detector: Detector, images: Images) -> np.ndarray:
    with torch.no_grad():
        pixels = torch.from_numpy(images.pixels[:]).permute(0, 3, 1, 2).float() / 255
        return detector.head(detector.features(pixels)).double().numpy()


def test_only_platt_and_temperature_on_the_few_read_them() -> None:
    reading = [
        (how, labels)
        for how in ("prior", "platt", "temperature")
        for labels in ("source_val", "few")
        if Config.model_validate({"how": how, "labels": labels}).reads_few
    ]
    assert reading == [("platt", "few"), ("temperature", "few")]


def test_a_temperature_leaves_the_decisions_as_they_were(
    trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    before = log_odds(trained, target.pixels)
    outcome = adapt(Config(how="temperature"), trained, data, context(tmp_path))
    np.testing.assert_allclose(
        log_odds(trained, target.pixels), before / outcome.metrics["temperature"], rtol=1e-4, atol=1e-5
    )
    assert outcome.metrics["predicted_prior_before"] == outcome.metrics["predicted_prior"]

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import nn

from tests.trainables.toy import context, toy_detector, toy_images
from trainables.contract import Images
from trainables.detector import Detector, as_input
from trainables.errors import InputError
from trainables.score import log_odds
from trainables.solving import LinearHead, calibrate, fitted, solve, write_head

FEATURES = 12

Array = NDArray[np.float64]


class Mean(nn.Module):
    """A body: mean and deviation of every colour, and of its differences along rows."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        steps = images.diff(dim=-1)
        figures = [f(part) for part in (images, steps) for f in (lambda x: x.mean((2, 3)), lambda x: x.std((2, 3)))]
        return torch.cat(figures, dim=1)


def of_features(classes: int = 2) -> Detector:
    head = nn.Linear(FEATURES, classes)
    about: dict[str, Any] = {"layers": {}, "feature_dim": FEATURES, "min_size": 4, "classes": classes}
    return Detector(front=nn.Identity(), body=Mean(), head=head, **about)


def known(count: int = 90, seed: int = 0) -> tuple[Array, NDArray[np.int64]]:
    """Features of very different scales, a third of them fakes'."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 3 == 0).astype(np.int64)
    features = rng.normal(size=(count, FEATURES)) + 0.6 * labels[:, None] * rng.normal(size=FEATURES)
    return features * np.logspace(-1, 1, FEATURES) + np.linspace(-5, 5, FEATURES), labels


REFERENCES = {
    "svm": LinearSVC(C=0.5, dual=False, max_iter=10_000),
    "logistic": LogisticRegression(C=0.5, max_iter=10_000),
    "ridge": RidgeClassifier(alpha=2.0),
    "lda": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
}


@pytest.mark.parametrize("kind", sorted(REFERENCES))
@pytest.mark.parametrize("balanced", [False, True])
def test_a_head_says_what_the_pipeline_of_scikit_learn_says(kind: str, balanced: bool) -> None:
    features, labels = known()
    estimator = REFERENCES[kind]
    if balanced:
        how: dict[str, Any] = {"priors": [0.5, 0.5]} if kind == "lda" else {"class_weight": "balanced"}
        estimator = type(estimator)(**{**estimator.get_params(), **how})
    wanted = make_pipeline(StandardScaler(), estimator).fit(features, labels).decision_function(features)
    head = LinearHead.model_validate({"head": kind, "penalty": 2.0, "balanced": balanced})
    detector = of_features()
    weight, bias = fitted(head, features, labels)
    np.testing.assert_allclose(features @ weight + bias, wanted, rtol=1e-9, atol=1e-9)
    write_head(detector, weight, bias)
    logits = detector.classify(torch.from_numpy(features).float()).detach().double().numpy()
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], wanted, atol=1e-4)
    np.testing.assert_allclose(logits[:, 1], wanted / 2, atol=1e-4)


def test_balanced_heads_call_more_of_the_rarer_class_fake() -> None:
    features, labels = known()
    counts = []
    for balanced in (False, True):
        weight, bias = fitted(LinearHead(head="logistic", balanced=balanced), features, labels)
        counts.append(int((features @ weight + bias > 0).sum()))
    assert counts[0] < counts[1]


def test_a_feature_that_never_varies_has_no_say() -> None:
    features, labels = known()
    features[:, 3] = 7
    weight, bias = fitted(LinearHead(), features, labels)
    assert weight[3] == 0
    assert np.isfinite(weight).all()
    assert np.isfinite(bias)


def test_three_classes_have_the_log_odds_of_two() -> None:
    features, labels = known()
    weight, bias = fitted(LinearHead(), features, labels)
    found = []
    for classes in (2, 3):
        detector = of_features(classes)
        write_head(detector, weight, bias)
        logits = detector.classify(torch.from_numpy(features).float()).double()
        found.append((torch.logsumexp(logits[:, 1:], dim=1) - logits[:, 0]).detach().numpy())
        assert logits.shape == (len(features), classes)
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_are_platts_of_held_out_images(classes: int) -> None:
    features, labels = known()
    held_out, val_labels = known(60, seed=5)
    estimator = make_pipeline(StandardScaler(), REFERENCES["svm"]).fit(features, labels)
    wanted = CalibratedClassifierCV(FrozenEstimator(estimator), method="sigmoid", ensemble=False)
    wanted.fit(held_out, val_labels)
    detector = of_features(classes)
    write_head(detector, *fitted(LinearHead(head="svm", penalty=2.0), features, labels))
    figures = calibrate(detector, held_out.astype(np.float32), images_of(val_labels))
    logits = detector.classify(torch.from_numpy(features).float())
    found = torch.softmax(logits, dim=1)[:, 1:].sum(dim=1).detach().numpy()
    np.testing.assert_allclose(found, wanted.predict_proba(features)[:, 1], atol=2e-4)
    expected = wanted.predict_proba(held_out)[:, 1]
    assert figures["val_accuracy"] == pytest.approx(((expected > 0.5) == val_labels).mean())
    assert figures["val_auroc"] == pytest.approx(roc_auc_score(val_labels, expected))
    assert figures["val_loss"] == pytest.approx(log_loss(val_labels, expected), abs=1e-4)


def images_of(labels: NDArray[np.int64], views: int = 1) -> Images:
    """Images whose pixels nobody looks at."""
    names = [str(i) for i in range(len(labels))]
    return Images(
        pixels=np.zeros((len(labels), 8, 8, 3), np.uint8), labels=labels, ids=names, generators=names, views=views
    )


def test_an_image_of_several_squares_counts_once() -> None:
    features, labels = known(60)
    squares = np.repeat(features, 2, axis=0) + np.random.default_rng(1).normal(size=(120, FEATURES))
    detector = of_features()
    write_head(detector, *fitted(LinearHead(), features, labels))
    figures = calibrate(detector, squares, images_of(np.repeat(labels, 2), views=2))
    z = detector.classify(torch.from_numpy(squares).float()).detach().double().numpy()
    probability = expit(z[:, 1] - z[:, 0]).reshape(-1, 2).mean(axis=1)
    assert figures["val_loss"] == pytest.approx(log_loss(labels, probability), abs=1e-6)
    assert figures["val_accuracy"] == pytest.approx(((probability > 0.5) == labels).mean())


def test_a_solved_stage_sets_the_head_and_the_calibration_and_tells_of_one_epoch(tmp_path: Path) -> None:
    told: list[dict[str, float]] = []
    place = context(tmp_path)
    place.on_report = lambda row: told.append(dict(row))
    detector, source, val = of_features(), toy_images(64, seed=1), toy_images(32, seed=2)
    outcome = solve(LinearHead(), detector, source, val, place)
    assert outcome.metrics["source_val_accuracy"] > 0.9
    assert outcome.metrics.keys() == {"source_val_accuracy", "source_val_auroc", "source_val_loss", "epoch"}
    assert told == list(outcome.curves)
    assert outcome.images == 64
    called = log_odds(detector, val.pixels) > 0
    assert (called == val.labels).mean() == outcome.metrics["source_val_accuracy"]


def test_every_fake_class_is_fake(tmp_path: Path) -> None:
    source = toy_images(64, seed=1)
    families = replace(source, labels=source.labels * (1 + np.arange(64) // 2 % 2))
    assert set(families.labels.tolist()) == {0, 1, 2}
    two, three = of_features(), of_features(classes=3)
    wanted = solve(LinearHead(), two, source, source, context(tmp_path)).metrics
    found = solve(LinearHead(), three, families, families, context(tmp_path)).metrics
    np.testing.assert_allclose(log_odds(three, source.pixels), log_odds(two, source.pixels), atol=1e-4)
    assert found == pytest.approx(wanted, abs=1e-4)


def test_features_of_a_body_with_weights_are_kept_for_the_next_head(tmp_path: Path) -> None:
    place, source, detector = context(tmp_path), toy_images(32, seed=1), toy_detector("frozen")
    place.cache = tmp_path / "cache"
    solve(LinearHead(head="svm"), detector, source, source, place)
    assert len(list(place.cache.glob("*.npy"))) == 1
    passed: list[int] = []
    detector.body.register_forward_hook(lambda *given: passed.append(len(given[1][0])))
    solve(LinearHead(head="ridge"), detector, source, source, place)
    assert passed == []
    solve(LinearHead(), of_features(), source, source, place)
    assert len(list(place.cache.glob("*.npy"))) == 1


def test_the_gradient_reaches_the_pixels(tmp_path: Path) -> None:
    detector, source = of_features(), toy_images(32, seed=1)
    solve(LinearHead(), detector, source, source, context(tmp_path))
    batch = as_input(source.pixels[:4]).requires_grad_()
    detector.log_odds(batch).sum().backward()
    assert batch.grad is not None
    assert batch.grad.abs().sum() > 0


def test_images_of_one_class_are_refused() -> None:
    features, _ = known(10)
    with pytest.raises(InputError, match="0 real, 10 fake"):
        fitted(LinearHead(), features, np.ones(10, np.int64))
    with pytest.raises(InputError, match="real and fake"):
        calibrate(of_features(), features, images_of(np.zeros(10, np.int64)))


def test_a_head_of_several_layers_is_refused() -> None:
    detector = of_features()
    detector.head = nn.Sequential(nn.Linear(FEATURES, 2))
    with pytest.raises(InputError, match="one linear layer"):
        write_head(detector, np.ones(FEATURES), 0.0)


def test_only_the_head_of_a_trained_detector_moves(tmp_path: Path) -> None:
    detector = toy_detector()
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    source = toy_images(32, seed=1)
    solve(LinearHead(head="ridge"), detector, source, source, context(tmp_path))
    changed = {name for name, tensor in detector.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"head.weight", "head.bias", "scale", "shift"}

"""What self-training methods share: choosing by quota, centroids, neighbours, joined images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.toy import context
from trainables.calibration import threshold
from trainables.context import LocalContext
from trainables.contract import AdaptationData, Images, Outcome
from trainables.detector import Detector, as_input, evaluating
from trainables.pseudo import (
    Predicted,
    agreement,
    apportion,
    centroid_labels,
    choose,
    joined,
    predict,
    subset,
    summary,
    with_prior,
)
from trainables.score import score


def _rng(*words: int) -> np.random.Generator:
    return np.random.default_rng(words)


def test_the_best_of_every_class_are_chosen_within_its_quota() -> None:
    labels = np.array([0, 1, 0, 0, 1, 0])
    scores = np.array([0.9, 0.6, 0.7, 0.9, 0.8, 0.95])
    assert choose(labels, scores, np.array([2, 1])).tolist() == [0, 4, 5]  # 0 and 3 are equal: the first goes first
    assert choose(labels, scores, np.array([9, 0])).tolist() == [0, 2, 3, 5]
    assert choose(labels, np.where(scores > 0.8, scores, -np.inf), np.array([9, 9])).tolist() == [0, 3, 5]


@pytest.mark.parametrize("seed", range(20))
def test_quotas_hold_and_no_better_image_is_left_out(seed: int) -> None:
    rng = _rng(seed, 1)
    labels, scores, quotas = rng.integers(3, size=50), rng.random(50), rng.integers(30, size=3)
    chosen = choose(labels, scores, quotas)
    for label in range(3):
        inside = scores[[i for i in chosen if labels[i] == label]]
        outside = scores[[i for i in range(50) if labels[i] == label and i not in chosen]]
        assert len(inside) == min(quotas[label], (labels == label).sum())
        assert not len(inside) or not len(outside) or inside.min() > outside.max()


@pytest.mark.parametrize("sizes", [(5, 5), (7, 3), (10, 0), (1, 2, 3), (333, 1)])
def test_quotas_in_proportion_add_up_exactly(sizes: tuple[int, ...]) -> None:
    for total in range(sum(sizes) + 1):
        quotas = apportion(total, np.array(sizes))
        assert quotas.sum() == total
        assert (quotas <= sizes).all()
        assert (np.abs(quotas - total * np.array(sizes) / sum(sizes)) < 1).all()


def test_predictions_are_those_of_the_detector_whoever_computes_which_part(
    trained: Detector, target: Images, tmp_path: Path
) -> None:
    seen = predict(trained, target.pixels, context(tmp_path))
    with evaluating(trained), torch.no_grad():
        features = trained.features(as_input(target.pixels[:]))
        logits = trained.classify(features)
    np.testing.assert_allclose(seen.features, features.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(seen.logits, logits.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(seen.probs[:, 1], score(trained, target.pixels), atol=1e-6)
    assert seen.labels.tolist() == (score(trained, target.pixels) > 0.5).tolist()
    workers = [OneOfThree(folder=tmp_path, rank=rank) for rank in range(3)]
    for worker in workers:
        predict(trained, target.pixels, worker)
    together = np.concatenate([worker.gathered[0] for worker in workers])
    np.testing.assert_allclose(together, np.column_stack([seen.features, seen.logits]), rtol=1e-4, atol=1e-4)


@dataclass(kw_only=True)
class OneOfThree(LocalContext):
    world_size: int = 3

    def __post_init__(self) -> None:
        self.gathered: list[np.ndarray[Any, Any]] = []

    def gather(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        self.gathered.append(values)
        return values


@pytest.mark.parametrize("prior", [0.1, 0.5, 0.9])
def test_predictions_at_a_prior_call_that_share_fake_and_keep_the_order(prior: float) -> None:
    seen = Predicted(features=np.zeros((200, 1), np.float32), logits=_rng(3).normal((2, 0), size=(200, 2)))
    shifted = seen.at_prior(prior)
    assert shifted.labels.mean() == pytest.approx(prior)
    assert (np.argsort(shifted.probs[:, 1]) == np.argsort(seen.probs[:, 1])).all()
    assert seen.at_prior(None) is seen


def test_a_prior_is_met_as_recalibrate_meets_it_where_scores_are_equal() -> None:
    odds = np.array([-3.0] * 6 + [1.0] * 3 + [2.0])
    seen = Predicted(features=np.zeros((10, 1), np.float32), logits=np.stack([0 * odds, odds], axis=1))
    shifted = seen.at_prior(0.5)
    assert shifted.labels.tolist() == (odds > threshold(odds, 0.5)).tolist() == [0] * 6 + [1] * 4
    same = Predicted(features=seen.features, logits=np.ones((10, 2)) * [0, 2])
    assert same.at_prior(0.3).labels.tolist() == [1] * 10


@pytest.mark.parametrize("prior", [0.2, 0.5])
def test_with_several_classes_of_fakes_the_prior_is_that_of_all_of_them(prior: float) -> None:
    seen = Predicted(features=np.zeros((100, 1), np.float32), logits=_rng(4).normal(size=(100, 4)))
    shifted = seen.at_prior(prior)
    assert shifted.prior == (shifted.labels > 0).mean() == pytest.approx(prior)
    fake = shifted.probs[:, 1:].sum(axis=1) > 0.5
    assert ((shifted.labels > 0) == fake).all()
    assert (shifted.labels[fake] == 1 + shifted.logits[fake, 1:].argmax(axis=1)).all()
    assert (shifted.confidence == shifted.probs[np.arange(100), shifted.labels]).all()


def _shot_by_hand(features: np.ndarray[Any, Any], probs: np.ndarray[Any, Any]) -> list[int]:
    """Equations 5 and 6 of SHOT, image by image."""

    def cosine_distance(a: Any, b: Any) -> float:
        return float(1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))

    rows = [np.append(row, 1.0) for row in features.astype(float)]
    rows = [row / np.linalg.norm(row) for row in rows]
    classes = range(probs.shape[1])
    centroids = [sum(p[k] * row for p, row in zip(probs, rows, strict=True)) / probs[:, k].sum() for k in classes]
    labels = [min(classes, key=lambda k: cosine_distance(row, centroids[k])) for row in rows]
    for k in set(labels):
        centroids[k] = np.mean([row for row, label in zip(rows, labels, strict=True) if label == k], axis=0)
    return [min(classes, key=lambda k: cosine_distance(row, centroids[k])) for row in rows]


@pytest.mark.parametrize("seed", range(5))
def test_centroid_labels_are_shots(seed: int) -> None:
    rng = _rng(seed, 2)
    truth = rng.integers(3, size=60)
    features = (rng.normal(size=(60, 8)) + 4 * np.eye(8)[truth]).astype(np.float32)
    probs = rng.dirichlet(np.ones(3), 60) * 0.5 + 0.5 * np.eye(3)[truth]
    labels = centroid_labels(features, probs)
    assert labels.tolist() == _shot_by_hand(features, probs)
    assert (labels == truth).mean() > 0.8


def test_a_class_that_no_image_is_near_to_keeps_its_centroid() -> None:
    probs = np.tile([0.9, 0.1], (6, 1))
    labels = centroid_labels(_rng(4).normal(size=(6, 3)).astype(np.float32), probs, rounds=3)
    assert set(labels.tolist()) <= {0, 1}
    assert centroid_labels(np.ones((4, 2), np.float32), np.tile([1.0, 0.0], (4, 1))).tolist() == [0] * 4


@pytest.mark.parametrize("k", [1, 5, 100])
def test_agreement_of_neighbours_is_that_of_a_brute_force_search(k: int) -> None:
    rng = _rng(k, 3)
    known, of = rng.normal(size=(40, 6)).astype(np.float32), rng.integers(2, size=40)
    features, labels = rng.normal(size=(25, 6)).astype(np.float32), rng.integers(2, size=25)
    expected = []
    for row, label in zip(features.astype(float), labels, strict=True):
        order = sorted(range(40), key=lambda j, row=row: float(((row - known[j].astype(float)) ** 2).sum()))
        expected.append(np.mean([of[j] == label for j in order[:k]]))
    np.testing.assert_allclose(agreement(features, labels, known, of, k), expected)


def test_source_and_pseudo_labelled_images_become_one_set(data: AdaptationData, target: Images) -> None:
    moved, labels, kept = np.array([5, 2]), np.array([0, 1]), np.array([7, 1, 3])
    both = joined(data.source_train, data.target, moved, labels, kept)
    source = data.source_train
    assert len(both) == 5
    assert both.pixels.shape == (5, *source.pixels.shape[1:])
    assert (both.pixels[:] == np.concatenate([source.pixels[kept], target.pixels[moved]])).all()
    assert both.labels.tolist() == [*source.labels[kept], 0, 1]
    assert both.ids == [*(source.ids[i] for i in kept), target.ids[5], target.ids[2]]
    assert set(both.generators[3:]) == {"target"}
    assert len(joined(source, data.target, moved, labels)) == len(source) + 2
    rest = subset(data.target, moved)
    assert (rest.pixels[:] == target.pixels[moved]).all()
    assert rest.ids == both.ids[3:]


def test_labels_of_one_class_alone_are_told() -> None:
    assert summary(np.array([0, 0, 0, 0, 1])) == {"pseudo_labels": 5, "pseudo_fake": 0.2, "pseudo_one_sided": 0}
    assert summary(np.array([0] * 9 + [1]))["pseudo_one_sided"] == 1
    assert summary(np.ones(4, dtype=np.int64))["pseudo_one_sided"] == 1
    assert summary(np.empty(0, dtype=np.int64)) == {"pseudo_labels": 0, "pseudo_fake": 0, "pseudo_one_sided": 0}


def test_every_outcome_tells_the_predicted_prior(
    trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    outcome = with_prior(Outcome(metrics={"a": 1.0}), trained, data, context(tmp_path), b=2.0)
    share = float((score(trained, target.pixels) > 0.5).mean())
    assert outcome.metrics == {"a": 1.0, "b": 2.0, "predicted_prior": share}
    assert outcome.images == len(target)

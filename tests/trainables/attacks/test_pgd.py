from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainables.toy import context, toy_images
from trainables.attacks.pgd import Config, _perturb, attack
from trainables.contract import Images, Outcome
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.score import score

EPSILONS = (0, 2, 4, 8)


@pytest.fixture(scope="module")
def images() -> Images:
    return toy_images(40, seed=11)


@pytest.fixture
def outcome(trained: Detector, images: Images, tmp_path: Path) -> Outcome:
    return attack(Config(epsilons=EPSILONS, steps=5, images_per_class=12), trained, images, context(tmp_path))


def _by_epsilon(outcome: Outcome) -> dict[int, list[Any]]:
    rows = defaultdict(list)
    for row in outcome.rows:
        rows[row["epsilon"]].append(row)
    return dict(rows)


def test_every_budget_has_a_row_for_each_of_the_images_asked_for(outcome: Outcome) -> None:
    rows = _by_epsilon(outcome)
    assert tuple(rows) == EPSILONS
    for epsilon in EPSILONS:
        assert [row["label"] for row in rows[epsilon]] == [0] * 12 + [1] * 12
        assert [row["image"] for row in rows[epsilon]] == [row["image"] for row in rows[0]]


def test_budget_0_is_the_clean_score_exactly(outcome: Outcome, trained: Detector, images: Images) -> None:
    clean = dict(zip(images.ids, score(trained, images.pixels).tolist(), strict=True))
    for row in _by_epsilon(outcome)[0]:
        assert row["adversarial_score"] == row["unrounded_score"] == row["clean_score"]
        assert row["clean_score"] == pytest.approx(clean[row["image"]], abs=1e-6)
        assert row["linf"] == 0
    assert outcome.metrics["fake_to_real_eps0"] == outcome.metrics["real_to_fake_eps0"] == 0


@pytest.mark.parametrize("top", [None, 1])
def test_an_image_of_several_squares_is_one_row_whose_scores_are_the_means_of_those_that_count(
    trained: Detector, images: Images, tmp_path: Path, top: int | None
) -> None:
    order = np.argsort(images.labels, kind="stable")  # pairs of one class
    squares = images.take(order)
    ids = [f"{k // 2:02}/{k % 2}" for k in range(len(order))]
    pairs = replace(squares, ids=ids, views=2, top=top)
    outcome = attack(Config(epsilons=(0, 8), steps=5, images_per_class=6), trained, pairs, context(tmp_path))
    scores = np.sort(score(trained, squares.pixels).reshape(-1, 2))[:, 2 - (top or 2) :].mean(axis=1)
    rows = _by_epsilon(outcome)
    first_fake = int((images.labels == 0).sum()) // 2
    assert [row["image"] for row in rows[8]] == [f"{k:02}" for k in (*range(6), *range(first_fake, first_fake + 6))]
    for before, after in zip(rows[0], rows[8], strict=True):
        assert before["clean_score"] == pytest.approx(scores[int(before["image"])], abs=1e-6)
        assert (after["adversarial_score"] - before["clean_score"]) * (1 if after["label"] else -1) <= 0
        assert 0 < after["linf"] <= 8
    right = [(row["clean_score"] > 0.5) == row["label"] for row in rows[0]]
    assert outcome.metrics["robust_accuracy_eps0"] == pytest.approx(np.mean(right))


def test_budgets_are_kept_and_larger_ones_are_not_weaker(outcome: Outcome) -> None:
    rows = _by_epsilon(outcome)
    accuracies = [outcome.metrics[f"robust_accuracy_eps{epsilon}"] for epsilon in EPSILONS]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[-1] < accuracies[0]
    for smaller, larger in pairwise(EPSILONS):
        for before, after in zip(rows[smaller], rows[larger], strict=True):
            sign = 1 if after["label"] else -1
            assert sign * after["adversarial_score"] <= sign * before["adversarial_score"]
            assert after["linf"] <= larger


@pytest.mark.parametrize("restarts", [0, 2])
def test_perturbed_images_stay_within_the_budget_and_the_range(
    trained: Detector, images: Images, tmp_path: Path, restarts: int
) -> None:
    pixels = images.pixels[:8].copy()
    pixels[:4] = np.where(pixels[:4] > 128, 255, 0)
    config = Config(steps=4, restarts=restarts)
    perturbed = _perturb(config, trained.eval(), pixels, images.labels[:8], 4, context(tmp_path))
    clean = pixels.astype(np.float64).transpose(0, 3, 1, 2) / 255
    assert perturbed.shape == clean.shape
    assert perturbed.min() >= 0
    assert perturbed.max() <= 1
    assert 3.9 / 255 < np.abs(perturbed - clean).max() <= 4 / 255 + 1e-6


def test_noise_of_the_same_size_is_weaker(outcome: Outcome, trained: Detector, images: Images) -> None:
    chosen = {row["image"] for row in outcome.rows}
    subset = images.take(np.flatnonzero([name in chosen for name in images.ids]))
    noise = np.random.default_rng(0).choice([-4, 4], subset.pixels.shape)
    noisy = (subset.pixels[:].astype(np.int64) + noise).clip(0, 255).astype(np.uint8)
    accuracy = ((score(trained, noisy) > 0.5) == subset.labels).mean()
    assert outcome.metrics["robust_accuracy_eps4"] < accuracy


def test_metrics_follow_from_the_rows(outcome: Outcome) -> None:
    for epsilon, rows in _by_epsilon(outcome).items():
        right = [(row["adversarial_score"] > 0.5) == row["label"] for row in rows]
        assert outcome.metrics[f"robust_accuracy_eps{epsilon}"] == pytest.approx(np.mean(right))
        for name, label in (("fake_to_real", 1), ("real_to_fake", 0)):
            before = [row for row in rows if row["label"] == label and (row["clean_score"] > 0.5) == label]
            flipped = [row for row in before if (row["adversarial_score"] > 0.5) != label]
            assert outcome.metrics[f"{name}_eps{epsilon}"] == pytest.approx(len(flipped) / len(before))


def test_the_attack_is_the_same_for_a_seed_and_for_any_order_of_images(
    copies: Callable[[], Detector], images: Images, tmp_path: Path
) -> None:
    config = Config(epsilons=(2,), steps=2, images_per_class=5)
    mixed = images.take(np.random.default_rng(0).permutation(len(images)))
    first = attack(config, copies(), images, context(tmp_path))
    np.random.seed(99)
    assert attack(config, copies(), mixed, context(tmp_path)).rows == first.rows
    assert attack(config, copies(), images, context(tmp_path, seed=1)).rows != first.rows


def test_a_very_sure_detector_does_not_look_robust(
    copies: Callable[[], Detector], images: Images, tmp_path: Path
) -> None:
    sure = copies()
    sure.scale.fill_(100.0)
    config = Config(epsilons=(8,), steps=5, images_per_class=12)
    results = [attack(config, detector, images, context(tmp_path)) for detector in (copies(), sure)]
    assert results[1].metrics["robust_accuracy_eps8"] == results[0].metrics["robust_accuracy_eps8"]


def test_the_detector_is_left_as_it_was(trained: Detector, images: Images, tmp_path: Path) -> None:
    trained.train()
    trainable = [p.requires_grad for p in trained.parameters()]
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    attack(Config(epsilons=(1,), steps=1, images_per_class=2), trained, images, context(tmp_path))
    assert trained.training
    assert [p.requires_grad for p in trained.parameters()] == trainable
    assert all((value == before[name]).all() for name, value in trained.state_dict().items())


def test_images_of_one_class_have_one_direction_and_none_are_refused(
    trained: Detector, images: Images, tmp_path: Path
) -> None:
    fakes = images.take(np.flatnonzero(images.labels == 1))
    metrics = attack(Config(epsilons=(1,), steps=1), trained, fakes, context(tmp_path)).metrics
    assert "fake_to_real_eps1" in metrics
    assert "real_to_fake_eps1" not in metrics
    with pytest.raises(InputError, match="no images"):
        attack(Config(), trained, images.take(np.arange(0)), context(tmp_path))

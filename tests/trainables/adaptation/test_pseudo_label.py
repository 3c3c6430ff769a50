"""Pseudo-labels: which images get one, and what is told of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainables.toy import QUICK, context, toy_images
from trainables.adaptation import pseudo_label
from trainables.adaptation.pseudo_label import Config, chosen
from trainables.contract import AdaptationData, Images
from trainables.detector import Detector
from trainables.fit import fit
from trainables.metrics import detection_metrics
from trainables.objective import SUPERVISED
from trainables.pseudo import Predicted
from trainables.recipe import Recipe
from trainables.rounds import RoundContext, Standing
from trainables.score import score


def _predicted(seed: int = 0, count: int = 101, lean: float = 1.0) -> Predicted:
    logits = np.random.default_rng([seed, 5]).normal(size=(count, 2)) * 3 + [lean, 0]
    return Predicted(features=np.zeros((count, 1), np.float32), logits=logits)


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("threshold", [0.0, 0.9])
def test_threshold_and_quotas_hold_for_every_class(threshold: float, share: float, balanced: bool) -> None:
    seen = _predicted()
    index = chosen(Config(threshold=threshold, share=share, balanced=balanced), seen)
    assert (seen.confidence[index] >= threshold).all()
    sure = np.bincount(seen.labels[seen.confidence >= threshold], minlength=2)
    counts = np.bincount(seen.labels[index], minlength=2)
    quota = np.ceil(share * 101 / 2)
    assert counts.tolist() == [min(quota, sure.min() if balanced else of_class) for of_class in sure]
    for label, count in enumerate(counts):
        of_class = np.sort(seen.confidence[seen.labels == label])[::-1]
        assert np.sort(seen.confidence[index][seen.labels[index] == label])[::-1].tolist() == of_class[:count].tolist()


def test_without_a_sure_image_of_one_class_balance_leaves_the_source_alone(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    assert not len(chosen(Config(), _predicted(lean=60.0)))
    labelled, plain = copies(), copies()
    config = Config(rounds=1, threshold=1 - 1e-16, recipe=QUICK)
    outcome = pseudo_label.adapt(config, labelled, data, context(tmp_path / "a"))
    within = RoundContext(context(tmp_path / "b"), Standing(carried={}), {}, None)
    fit(plain, SUPERVISED, QUICK, data.source_train, data.source_val, within)
    assert outcome.metrics["pseudo_labels"] == 0
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in labelled.state_dict().items())


def test_labels_that_all_say_the_same_are_told(
    trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    trained.shift -= 100.0  # the target collapses onto real
    config = Config(rounds=1, balanced=False, share=1.0, prior=None, recipe=QUICK)
    outcome = pseudo_label.adapt(config, trained, data, context(tmp_path))
    assert outcome.metrics["pseudo_one_sided"] == 1
    assert outcome.metrics["pseudo_fake"] == outcome.metrics["predicted_prior_before"] == 0
    assert outcome.metrics["pseudo_labels"] == len(target) / 2  # the quota of the one class
    assert outcome.metrics["predicted_prior"] == (score(trained, target.pixels) > 0.5).mean()


def test_fakes_that_are_confidently_called_real_are_found_by_their_rank(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    target = toy_images(64, seed=3, period=4, amplitude=3)  # a trace so faint that all is called real
    data = replace(data, target=target.without_labels())

    def accuracy(detector: Detector) -> float:
        return detection_metrics(target.labels, score(detector, target.pixels))["accuracy"]

    before, adapted = copies(), copies()
    recipe = Recipe(epochs=3, batch=16, learning_rate=2e-3)
    config = Config(rounds=2, recipe=recipe)
    outcome = pseudo_label.adapt(config, adapted, data, context(tmp_path))
    assert accuracy(before) < 0.6
    assert accuracy(adapted) > 0.9
    assert [row["round"] for row in outcome.curves] == [1, 1, 1, 2, 2, 2]
    assert all(row["pseudo_fake"] == 0.5 for row in outcome.curves)
    assert outcome.curves[0]["predicted_prior_before"] == (score(before, target.pixels) > 0.5).mean() < 0.2

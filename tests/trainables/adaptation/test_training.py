"""The adaptations that go on training: coral and dann."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.toy import QUICK, context
from trainables.adaptation import coral, dann
from trainables.contract import AdaptationData
from trainables.detector import Detector
from trainables.losses import coral as coral_distance
from trainables.recipe import Recipe
from trainables.score import infer


def _weights(detector: Detector) -> torch.Tensor:
    return torch.cat([value.flatten().float() for value in detector.state_dict().values()])


@pytest.mark.parametrize("member", [coral, dann])
def test_weight_0_is_the_source_detector(
    member: Any, copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    plain, adapted, aligned = copies(), copies(), copies()
    outcome = member.adapt(member.Config(weight=0, recipe=QUICK), adapted, data, context(tmp_path / "zero"))
    member.adapt(member.Config(weight=1, recipe=QUICK), aligned, data, context(tmp_path / "one"))
    assert torch.equal(_weights(plain), _weights(adapted))
    assert not outcome.curves
    assert not torch.equal(_weights(plain), _weights(aligned))


def test_coral_brings_the_covariances_together(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    def distance(weight: float) -> float:
        detector = copies()
        recipe = Recipe(epochs=4, batch=32, learning_rate=2e-3)
        config = coral.Config(weight=weight, recipe=recipe)
        coral.adapt(config, detector, data, context(tmp_path / str(weight)))
        features = [infer(detector, detector.features, images.pixels) for images in (data.source_train, data.target)]
        return coral_distance(*(torch.from_numpy(f) for f in features)).item()

    assert distance(100) < distance(0) / 2


def test_dann_reports_a_discriminator_that_learns_while_nothing_is_reversed(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    recipe = Recipe(epochs=5, batch=32, learning_rate=2e-3)
    config = dann.Config(weight=1e-9, recipe=recipe)
    outcome = dann.adapt(config, copies(), data, context(tmp_path))
    accuracies = [row["discriminator_accuracy"] for row in outcome.curves]
    assert accuracies[-1] > 0.65
    assert {"domain", "classification"} <= set(outcome.curves[0])

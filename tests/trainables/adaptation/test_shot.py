"""SHOT: source-free, with the classifier as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.trainables.toy import QUICK, context
from trainables.adaptation import shot
from trainables.contract import AdaptationData, Images
from trainables.detector import Detector
from trainables.fit import Fitted, fit
from trainables.losses import information_maximisation
from trainables.pseudo import centroid_labels, predict
from trainables.registry import find
from trainables.selection.rule import Rule, last, source_val


class Unreadable:
    """Pixels that nobody may read."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any, /) -> np.ndarray[Any, Any]:
        raise AssertionError("a source image was read")


def _source_free(data: AdaptationData) -> AdaptationData:
    return replace(data, source_train=replace(data.source_train, pixels=Unreadable(data.source_train.pixels.shape)))


def _information(detector: Detector, data: AdaptationData, folder: Path) -> float:
    probs = predict(detector, data.target.pixels, context(folder)).probs
    return information_maximisation(torch.from_numpy(probs)).item()


@pytest.mark.parametrize("weights", [(1.0, 0.3), (1.0, 0.0), (0.0, 1.0)])
def test_the_head_stays_to_the_last_bit_and_no_source_image_is_trained_on(
    weights: tuple[float, float], copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    before, adapted = copies(), copies()
    weight, beta = weights
    config = shot.Config(weight=weight, beta=beta, recipe=QUICK)
    outcome = shot.adapt(config, adapted, _source_free(data), context(tmp_path))
    for part, moves in (("head", False), ("front", False), ("body", True)):
        first, second = getattr(before, part).state_dict(), getattr(adapted, part).state_dict()
        assert all(torch.equal(first[name], second[name]) for name in first) is not moves
    assert all(
        a.requires_grad == b.requires_grad for a, b in zip(before.parameters(), adapted.parameters(), strict=True)
    )
    assert "source_val_accuracy" in outcome.metrics
    assert ("centroid" in outcome.curves[0], "information" in outcome.curves[0]) == (beta > 0, weight > 0)


def test_both_weights_0_are_the_source_detector(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    before, adapted = copies(), copies()
    outcome = shot.adapt(shot.Config(weight=0, beta=0), adapted, data, context(tmp_path))
    assert all(torch.equal(value, before.state_dict()[name]) for name, value in adapted.state_dict().items())
    assert not outcome.curves


def test_information_is_what_grows(copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path) -> None:
    before, adapted = copies(), copies()
    shot.adapt(shot.Config(recipe=QUICK.model_copy(update={"epochs": 4})), adapted, data, context(tmp_path))
    assert _information(adapted, data, tmp_path) < _information(before, data, tmp_path) - 0.05


def test_labels_are_those_of_the_centroids_before_the_epoch(
    copies: Callable[[], Detector], data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    before = predict(copies(), target.pixels, context(tmp_path))
    expected = centroid_labels(before.features, before.probs)
    outcome = shot.adapt(shot.Config(recipe=QUICK), copies(), data, context(tmp_path))
    assert outcome.curves[0]["pseudo_fake"] == expected.mean()
    assert outcome.curves[0]["pseudo_agreement"] == (expected == before.labels).mean()


@pytest.mark.parametrize(
    ("kind", "parameters", "chosen"),
    [
        ("shot", {}, [last]),
        ("auxselftrain", {"rounds": 2}, [last, last]),
        ("idann", {"share": 1.0, "final_epochs": 1}, [source_val, last]),
    ],
)
def test_what_leaves_the_source_keeps_its_last_epoch(
    kind: str,
    parameters: dict[str, Any],
    chosen: list[Rule],
    trained: Detector,
    data: AdaptationData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules: list[Rule] = []

    def watched(*given: Any, select: Rule = source_val, **more: Any) -> Fitted:
        rules.append(select)
        return fit(*given, select=select, **more)

    monkeypatch.setattr("trainables.fit.fit", watched)
    member = find("adaptations", kind)
    recipe = QUICK.model_copy(update={"epochs": 1})
    member.load().adapt(member.config(**parameters, recipe=recipe), trained, data, context(tmp_path))
    assert rules == chosen

"""The methods that draw the features or predictions of two domains together without an adversary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.adaptation.steps import step_of
from tests.trainables.toy import context
from trainables import losses
from trainables.contract import AdaptationData
from trainables.detector import Detector
from trainables.recipe import Recipe
from trainables.registry import find
from trainables.score import infer


def _objective(kind: str, detector: Detector, data: AdaptationData, **parameters: Any) -> Any:
    member = find("adaptations", kind)
    return member.load().objective(member.config(**parameters), detector, data, None)


@pytest.mark.parametrize(
    ("kind", "parameters", "expected"),
    [
        ("ddc", {"weight": 3}, lambda s: 3 * losses.mmd_linear(s.features, s.target_features)),
        ("dan", {"weight": 2, "scales": [1, 2]}, lambda s: 2 * losses.mmd_rbf(s.features, s.target_features, (1, 2))),
        (
            "mcc",
            {"weight": 2, "temperature": 3},
            lambda s: 2 * losses.minimum_class_confusion(s.target_logits, temperature=3),
        ),
        (
            "jdot",
            {"feature_weight": 0.3, "label_weight": 0.7},
            lambda s: losses.jdot(s.features, s.labels, s.target_features, s.target_logits, 0.3, 0.7),
        ),
    ],
)
def test_the_term_is_its_loss_of_source_and_target(
    kind: str, parameters: Mapping[str, Any], expected: Any, trained: Detector, data: AdaptationData
) -> None:
    step = step_of(trained, data)
    found = _objective(kind, trained, data, **parameters)
    assert list(found.terms) == [kind]
    torch.testing.assert_close(found.terms[kind](step), expected(step))
    assert not found.modules
    assert found.adversary is None


def _mean_distance(features: list[torch.Tensor]) -> float:
    return losses.mmd_linear(*features).item()


def _kernel_distance(features: list[torch.Tensor]) -> float:
    return losses.mmd_rbf(*features).item()


@pytest.mark.parametrize(
    ("kind", "strong", "weak", "distance"),
    [
        ("ddc", {"weight": 20}, {"weight": 1e-9}, _mean_distance),
        ("dan", {"weight": 20}, {"weight": 1e-9}, _kernel_distance),
        ("jdot", {"feature_weight": 1}, {"feature_weight": 1e-9, "label_weight": 0}, _mean_distance),
    ],
)
def test_the_domains_come_together(
    kind: str,
    strong: Any,
    weak: Any,
    distance: Any,
    copies: Callable[[], Detector],
    data: AdaptationData,
    tmp_path: Path,
) -> None:
    def after(parameters: Mapping[str, Any], folder: Path) -> float:
        detector, member = copies(), find("adaptations", kind)
        config = member.config(**parameters, recipe=Recipe(epochs=3, batch=32, learning_rate=2e-3))
        member.load().adapt(config, detector, data, context(folder))
        sets = (data.source_train, data.target)
        return float(distance([torch.from_numpy(infer(detector, detector.features, s.pixels)) for s in sets]))

    assert after(strong, tmp_path / "strong") < after(weak, tmp_path / "weak") / 2


def test_mcc_makes_the_target_less_confused_and_tells_the_share_called_fake(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    def confusion() -> float:
        logits = torch.from_numpy(infer(trained, trained, data.target.pixels))
        return losses.minimum_class_confusion(logits).item()

    before, member = confusion(), find("adaptations", "mcc")
    config = member.config(weight=3, recipe=Recipe(epochs=3, batch=32, learning_rate=2e-3))
    outcome = member.load().adapt(config, trained, data, context(tmp_path))
    assert confusion() < before
    assert all(0 < row["predicted_prior"] < 1 for row in outcome.curves)
    assert outcome.metrics["predicted_prior"] == (infer(trained, trained.log_odds, data.target.pixels) > 0).mean()

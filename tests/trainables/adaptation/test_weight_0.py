"""A method whose weights are all 0 leaves the detector as it is, alone and in a composition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.adaptation.steps import ONE_STEP, few_images, state
from tests.trainables.toy import context
from trainables.contract import AdaptationData
from trainables.detector import Detector
from trainables.registry import find

NOTHING: Mapping[str, Mapping[str, Any]] = {
    "coral": {"weight": 0},
    "dann": {"weight": 0},
    "ddc": {"weight": 0},
    "dan": {"weight": 0},
    "cdan": {"weight": 0},
    "daln": {"weight": 0},
    "fgda": {"weight": 0, "jacobian": 0},
    "jreg": {"weight": 0},
    "sdat": {"rho": 0},
    "mcc": {"weight": 0},
    "mcd": {"weight": 0},
    "jdot": {"feature_weight": 0, "label_weight": 0},
}


def _adapt(kind: str, parameters: Mapping[str, Any], detector: Detector, data: AdaptationData, folder: Path) -> Any:
    member = find("adaptations", kind)
    config = member.config.model_validate({**parameters, "recipe": ONE_STEP})
    return member.load().adapt(config, detector, few_images(data), context(folder))


@pytest.mark.parametrize("kind", NOTHING)
def test_all_weights_0_is_the_source_detector(
    kind: str, copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    plain, nothing, something = copies(), copies(), copies()
    assert not _adapt(kind, NOTHING[kind], nothing, data, tmp_path / "0").curves
    assert _adapt(kind, {}, something, data, tmp_path / "1").curves
    assert torch.equal(state(plain), state(nothing))
    assert not torch.equal(state(plain), state(something))


@pytest.mark.parametrize(
    "parts",
    [
        {"base": {"kind": "dann", "weight": 0}, "with": [{"kind": "coral", "weight": 0}, {"kind": "sdat", "rho": 0}]},
        {"base": {"kind": "dann", "weight": 0}, "with": ["rada"]},
    ],
)
def test_so_is_a_composition_of_nothing(
    parts: Mapping[str, Any], trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    before = state(trained)
    assert not _adapt("compose", parts, trained, data, tmp_path).curves
    assert torch.equal(before, state(trained))

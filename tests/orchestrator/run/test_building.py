"""Detectors that cannot be built are refused before anything is trained."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torchvision import models

from orchestrator.campaign import Campaign
from orchestrator.study.model import Study
from trainables import detector as detector_module
from trainables.errors import InputError


@pytest.mark.parametrize(
    ("detector", "size", "told"),
    [
        ({"architecture": "timm/test_resnet"}, 16, "at least 32x32 pixels (`preprocess.size`)"),
        ({"weights": "resnet34.pth"}, 32, "unknown: layer1.2.conv1.weight"),
        ({"weights": "resnet34.pth", "architecture": "vgg11"}, 32, "missing: features.0.weight"),
        ({"weights": "imagenet.pth", "trainable": "none"}, 32, "fc.weight (1000, 512), fc.bias (1000,)"),
        ({"architecture": "timm/test_resnet", "trainable": "last:9"}, 32, "act1, layer1, layer2, layer3, layer4"),
    ],
)
def test_what_only_the_built_network_tells_is_told_before_anything_runs(
    detector: dict[str, Any], size: int, told: str, small_data: Path, tmp_path: Path
) -> None:
    torch.save(models.resnet34(weights=None).state_dict(), tmp_path / "resnet34.pth")
    torch.save(models.resnet18(weights=None).state_dict(), tmp_path / "imagenet.pth")
    given = detector | ({"weights": str(tmp_path / detector["weights"])} if "weights" in detector else {})
    campaign = _campaign(tmp_path, small_data, {"kind": "backbone", "name": "theirs", **given}, size)
    for verb in (campaign.check, partial(campaign.run, executor="serial")):
        with pytest.raises(InputError, match=re.escape(told)) as refused:
            verb()
        assert str(refused.value).startswith("detector theirs: ")
    assert [*campaign.records()] == []


@pytest.mark.parametrize("kind", ["clip_linear", "clip_knn", "clip_svm"])
def test_what_is_nothing_without_weights_is_refused_before_anything_runs(
    kind: str, small_data: Path, tmp_path: Path
) -> None:
    campaign = _campaign(tmp_path, small_data, {"kind": kind}, 32)
    with pytest.raises(InputError, match=rf"detector {kind}: weights: .* is of no use without its weights"):
        campaign.check()


def test_the_specialists_of_a_fusion_are_built_too(small_data: Path, tmp_path: Path) -> None:
    torch.save(models.resnet34(weights=None).state_dict(), tmp_path / "resnet34.pth")
    fusion = {"kind": "dfx", "weights": str(tmp_path / "resnet34.pth")}
    both = {"generators": ["tconv", "bilinear"], "name": "both"}
    with pytest.raises(InputError, match=re.escape("resnet34.pth: these weights are not resnet18's")):
        _campaign(tmp_path, small_data, fusion, 32, both).check()


def test_of_what_is_tuned_that_is_built_which_the_search_starts_from(small_data: Path, tmp_path: Path) -> None:
    for architecture, weights in (("resnet34", models.resnet34), ("resnet18", models.resnet18)):
        torch.save(weights(weights=None).state_dict(), tmp_path / f"{architecture}.pth")
    tuned = {"kind": "backbone", "tuning": {"trials": 2}}
    _campaign(tmp_path, small_data, {**tuned, "weights": str(tmp_path / "resnet18.pth")}, 32).check()
    with pytest.raises(InputError, match=re.escape("resnet34.pth: these weights are not resnet18's")):
        _campaign(tmp_path, small_data, {**tuned, "weights": str(tmp_path / "resnet34.pth")}, 32).check()


def test_what_is_done_is_not_built_again(small_data: Path, tmp_path: Path) -> None:
    weights = tmp_path / "resnet18.pth"
    torch.save(models.resnet18(weights=None).state_dict(), weights)
    campaign = _campaign(tmp_path, small_data, {"kind": "frozen", "weights": str(weights)}, 32)
    assert campaign.run(executor="serial").exit_code == 0
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(detector_module, "build_detector", _never)
        campaign.check()


def _campaign(folder: Path, data: Path, detector: dict[str, Any], size: int, source: Any = "tconv") -> Campaign:
    study = {
        "name": "built",
        "data": {"root": data},
        "detectors": [detector],
        "train_generators": [source],
        "preprocess": {"size": size},
        "storage": folder / "results",
    }
    return Campaign(Study.model_validate(study))


def _never(*_: object, **__: object) -> None:
    pytest.fail("a detector whose training is done was built")

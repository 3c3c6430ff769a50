from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models import resnet50

from tests.trainables.toy import context, toy_detector
from trainables.augment import Augment
from trainables.checkpoint import WEIGHTS, save_detector
from trainables.contract import Images
from trainables.detector import build_detector
from trainables.detectors.cnndetection import PUBLISHED, Config
from trainables.fit import train


def test_it_is_resnet_50_under_two_logits() -> None:
    detector = build_detector("cnndetection", Config(), seed=0)
    network = resnet50(weights=None)
    network.fc = torch.nn.Identity()
    expected = sum(p.numel() for p in network.parameters())
    assert expected == 23_508_032
    parts = detector.body, detector.head
    assert [sum(p.numel() for p in part.parameters()) for part in parts] == [expected, 2 * 2048 + 2]
    assert list(detector.layers) == ["layer1", "layer2", "layer3", "layer4"]
    assert detector.feature_dim == 2048


def test_it_is_trained_as_published() -> None:
    recipe = Config().recipe
    assert (recipe.optimiser, recipe.learning_rate, recipe.betas[0], recipe.batch) == ("adam", 1e-4, 0.9, 64)
    assert (recipe.schedule, recipe.patience, recipe.gamma, recipe.floor) == ("plateau", 5, 0.1, 1e-6)
    assert recipe.weight_decay == 0
    assert recipe.augment == Augment(blur=0.5, sigma=(0, 3), jpeg=0.5, quality=(30, 100))
    light = Config.model_validate({"recipe": {"augment": "cnndetection_light"}}).recipe
    assert light == PUBLISHED.model_copy(update={"augment": Augment(blur=0.1, jpeg=0.1)})


def test_a_small_one_learns_by_its_own_recipe(source: Images, source_val: Images, tmp_path: Path) -> None:
    given = {"epochs": 2, "batch": 16, "learning_rate": 3e-4, "augment": "cnndetection_light"}
    config = Config.model_validate({"architecture": "resnet18", "recipe": given})
    outcome = train(
        config, toy_detector("cnndetection", architecture="resnet18"), source, source_val, context(tmp_path)
    )
    assert len(outcome.curves) == 2
    assert outcome.curves[1]["loss"] < outcome.curves[0]["loss"]


def test_it_goes_on_from_a_detector_of_ours_under_a_head_of_its_own(tmp_path: Path) -> None:
    trained = toy_detector("backbone", seed=5)
    save_detector(tmp_path, trained, {"kind": "backbone", "config": {}, "image": {"size": 32}})
    fresh, detector = (toy_detector("cnndetection", weights=given) for given in (None, tmp_path / WEIGHTS))
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    features = trained.eval().features(images)
    assert torch.equal(detector.eval().features(images), features)
    assert not torch.equal(fresh.eval().features(images), features)
    assert not torch.equal(detector.head.weight, trained.head.weight)


def test_networks_and_weights_that_there_are_not_are_refused() -> None:
    with pytest.raises(ValueError, match="no network of this name"):
        Config(architecture="resnet49")
    with pytest.raises(ValueError, match="a file to be downloaded"):
        Config.model_validate({"weights": "IMAGENET1K_V2"})
    with pytest.raises(ValueError, match="published under this tag"):
        Config.model_validate({"weights": "IMAGENET9K"})

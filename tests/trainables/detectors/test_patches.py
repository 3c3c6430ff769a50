from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import resnet18

from tests.trainables.toy import context, toy_detector, toy_images
from trainables.detector import Detector
from trainables.fit import fit
from trainables.metrics import detection_metrics
from trainables.objective import SUPERVISED
from trainables.recipe import Recipe
from trainables.score import score

BODIES = [{"body": "small"}, {"body": "resnet18"}, {"body": "resnet18", "stages": 2}]


def _map(detector: Detector, images: torch.Tensor) -> torch.Tensor:
    """(B, C, h, w) logits of the patches."""
    maps: torch.Tensor = detector.body[:-1](detector.front(images))
    return (
        detector.classify(maps.permute(0, 2, 3, 1).flatten(0, 2))
        .unflatten(0, (len(images), *maps.shape[2:]))
        .permute(0, 3, 1, 2)
    )


@pytest.mark.parametrize("parameters", BODIES)
def test_the_logits_of_an_image_are_the_mean_of_its_patches(parameters: dict[str, object]) -> None:
    detector = toy_detector("patches", **parameters).eval()
    images = torch.rand(2, 3, 48, 40)
    assert torch.allclose(detector(images), _map(detector, images).mean(dim=(2, 3)), atol=1e-5)


@pytest.mark.parametrize("parameters", BODIES)
def test_in_training_the_logits_are_those_of_one_patch(parameters: dict[str, object]) -> None:
    detector = toy_detector("patches", **parameters).train()
    images = torch.rand(3, 3, 48, 48)
    torch.manual_seed(0)
    drawn = detector(images)
    patches = _map(detector, images).flatten(2)
    nearest = (patches - drawn[:, :, None]).abs().amax(dim=1).min(dim=1).values
    assert nearest.max().item() < 1e-5
    assert not torch.allclose(detector(images), drawn)


@pytest.mark.parametrize(("parameters", "side"), [*zip(BODIES, (42, 43, 99), strict=True)])
def test_a_location_sees_a_patch_and_no_more(parameters: dict[str, object], side: int) -> None:
    detector = toy_detector("patches", **parameters).eval()
    images = torch.rand(1, 3, 160, 160, requires_grad=True)
    maps = _map(detector, images)
    middle = maps.shape[-1] // 2
    maps[0, :, middle, middle].sum().backward()
    assert images.grad is not None
    rows = images.grad.abs().sum(dim=(0, 1, 3)).nonzero()
    assert 0.8 * side < int(rows.max() - rows.min()) + 1 <= side


def test_the_published_body_is_resnet_18_as_far_as_its_first_stage() -> None:
    detector, whole = toy_detector("patches", body="resnet18").eval(), resnet18(weights=None).eval()
    kept = (whole.conv1, whole.bn1, whole.layer1)
    expected = sum(p.numel() for part in kept for p in part.parameters()) + 2 * 64 + 2
    assert sum(p.numel() for p in detector.parameters() if p.requires_grad) == expected == 157_634
    whole.load_state_dict(
        {
            f"{name}.{key}": value
            for name, k in (("conv1", 0), ("bn1", 1), ("layer1", 4))
            for key, value in detector.body[k].state_dict().items()
        },
        strict=False,
    )
    seen = detector.front(torch.rand(1, 3, 40, 40))
    expected_maps = whole.layer1(whole.maxpool(whole.relu(whole.bn1(whole.conv1(seen)))))
    assert torch.allclose(detector.body[:-1](seen), expected_maps, atol=1e-5)


def test_grad_cam_of_the_last_layer_is_the_map_of_the_patches() -> None:
    detector = toy_detector("patches").eval()
    images = torch.rand(1, 3, 48, 48)
    kept = {}
    detector.layers["block4"].register_forward_hook(lambda _, __, out: kept.update(maps=out))
    detector.log_odds(images).sum().backward(inputs=[detector.head.weight], retain_graph=True)
    (gradient,) = torch.autograd.grad(detector.log_odds(images).sum(), [kept["maps"]])
    cam = (gradient.mean(dim=(2, 3), keepdim=True) * kept["maps"]).sum(dim=1).relu()
    logits = _map(detector, images)
    odds = (logits[:, 1] - logits[:, 0] - (detector.head.bias[1] - detector.head.bias[0])).relu()
    assert torch.allclose(cam * odds[0].numel(), odds, atol=1e-5)


def test_it_learns_from_single_patches(tmp_path: Path) -> None:
    detector, images = toy_detector("patches"), toy_images(64, seed=0)
    fit(detector, SUPERVISED, Recipe(epochs=8, batch=16, learning_rate=5e-3), images, images, context(tmp_path))
    fresh = toy_images(64, seed=1)
    assert detection_metrics(fresh.labels, score(detector, fresh.pixels).astype(np.float64))["accuracy"] > 0.9

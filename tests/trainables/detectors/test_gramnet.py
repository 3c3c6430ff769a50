from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models import resnet18

from tests.trainables.toy import toy_detector
from trainables.detectors.gramnet import Config


def _count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def test_it_has_the_published_parameters() -> None:
    detector = toy_detector("gramnet")
    whole = resnet18(weights=None)
    aligning = sum(32 * maps * 9 + 64 for maps in (3, 64, 64, 64, 128, 256))
    refining = 6 * (16 * 9 + 32 + 32 * 16 * 9 + 64)
    head = 704 * 512 + 512 + 512 * 2 + 2
    assert _count(detector) == _count(whole) - _count(whole.fc) + aligning + refining + head == 11_734_722


@pytest.mark.parametrize("architecture", ["resnet18", "resnet34"])
def test_its_first_features_are_the_networks(architecture: str) -> None:
    detector = toy_detector("gramnet", architecture=architecture).eval()
    plain = toy_detector("backbone", architecture=architecture).eval()
    stem, _, *layers = detector.body.stages
    for name, part in zip(("conv1", "bn1", "relu"), stem, strict=True):
        setattr(plain.body, name, part)
    for number, layer in enumerate(layers, start=1):
        setattr(plain.body, f"layer{number}", layer)
    images = torch.rand(2, 3, 48, 40)
    assert torch.allclose(detector.features(images)[:, :512], plain.features(images), atol=1e-5)


def test_textures_are_of_the_image_the_stem_and_all_layers_but_the_last() -> None:
    detector = toy_detector("gramnet").eval()
    seen = []
    for block in detector.body.blocks:
        block.register_forward_hook(lambda _, given, out: seen.append((tuple(given[0].shape[1:]), tuple(out.shape))))
    features = detector.features(torch.rand(2, 3, 64, 64))
    maps = [(3, 64, 64), (64, 32, 32), (64, 16, 16), (64, 16, 16), (128, 8, 8), (256, 4, 4)]
    assert seen == [(shape, (2, 32)) for shape in maps]
    assert features.shape == (2, 512 + 6 * 32)


def test_it_starts_from_the_weights_of_a_resnet(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = resnet18(weights=None)
    torch.save(network.state_dict(), tmp_path / "resnet18.pth")
    detector = toy_detector("gramnet", weights=tmp_path / "resnet18.pth")
    assert torch.equal(detector.body.stages[0][0].weight, network.conv1.weight)
    assert torch.equal(detector.layers["layer3"][0].conv1.weight, network.layer3[0].conv1.weight)


def test_networks_whose_stages_have_other_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="'resnet18' or 'resnet34'"):
        Config.model_validate({"architecture": "resnet50"})

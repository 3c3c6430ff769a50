from __future__ import annotations

import torch
from torch import nn

from trainables.backbones import build_backbone
from trainables.heads import linear, mlp

IMAGES = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))


def _trained(module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


def test_a_detector_of_a_network_is_the_network_under_the_head() -> None:
    backbone = build_backbone("resnet18")
    detector = backbone.detector(linear, classes=3).eval()
    torch.testing.assert_close(detector(IMAGES), detector.head(backbone.body(backbone.front(IMAGES))))
    assert detector(IMAGES).shape == (2, 3)
    assert detector.layers == backbone.layers
    assert (detector.feature_dim, detector.min_size, detector.classes) == (512, backbone.min_size, 3)


def test_its_front_may_be_another() -> None:
    backbone = build_backbone("resnet18")
    # An empty sequence of layers is falsy, and a front all the same.
    detector = backbone.detector(linear, classes=2, front=nn.Sequential()).eval()
    torch.testing.assert_close(detector.features(IMAGES), backbone.body(IMAGES))


def test_of_a_frozen_network_the_head_alone_is_trained() -> None:
    assert _trained(build_backbone("resnet18").frozen().detector(lambda d, c: mlp(d, 8, c), classes=2)) == {
        f"head.{layer}.{part}" for layer in (0, 2) for part in ("weight", "bias")
    }
    assert "body.conv1.weight" in _trained(build_backbone("resnet18").detector(linear, classes=2))

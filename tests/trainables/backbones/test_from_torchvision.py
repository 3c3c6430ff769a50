"""torchvision's networks without their classifiers are what torchvision published."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision import models

from tests.trainables.backbones.measured import META, made, maps, on_meta
from trainables.backbones.names import block_count
from trainables.backbones.published import FILES
from trainables.blocks import blocks
from trainables.detector import Detector
from trainables.errors import InputError

INCEPTION_AUXILIARY = 3_326_696
"""Parameters of Inception's auxiliary classifier: two convolutions with BatchNorm, and 768 x 1000 + 1000."""


def _published_count(name: str) -> int:
    """Parameters of the network in torchvision's own tables, those of an auxiliary classifier taken off."""
    weights = next(weights for weights in models.get_model_weights(name) if weights.name in FILES[name])
    return int(weights.meta["num_params"]) - (INCEPTION_AUXILIARY if name == "inception_v3" else 0)


@pytest.mark.parametrize("name", FILES)
def test_a_network_has_the_published_parameters_and_maps_from_shallow_to_deep(name: str) -> None:
    backbone = on_meta(name)
    count = sum(parameter.numel() for parameter in backbone.body.parameters())
    assert count + 1000 * backbone.feature_dim + 1000 == _published_count(name)
    assert not any(getattr(part, "inplace", False) for part in backbone.body.modules())

    size = backbone.min_size
    backbone.body.eval()
    features, outputs = maps(backbone, torch.empty(2, 3, size, size, device=META))
    assert features.shape == (2, backbone.feature_dim)
    assert list(outputs) == list(backbone.layers)
    assert all(output.ndim == 4 and len(output) == 2 for output in outputs.values())
    heights = [output.shape[2] for output in outputs.values()]
    assert heights == sorted(heights, reverse=True)

    detector = Detector(
        front=backbone.front,
        body=backbone.body,
        head=nn.Linear(backbone.feature_dim, 2, device=META),
        layers=backbone.layers,
        feature_dim=backbone.feature_dim,
        min_size=size,
        classes=2,
    )
    found = blocks(detector)
    assert len(found) - 1 == block_count(name)
    assert sum(map(len, found.values())) == sum(p.requires_grad for p in detector.parameters())


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "googlenet", "mobilenet_v3_small"])
def test_features_are_those_of_torchvisions_network(name: str) -> None:
    """In evaluation mode: what was changed so that nothing works in place computes the same."""
    ours = made(name)
    extra = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
    theirs = models.get_model(name, weights=None, **extra).eval()
    mine = {key.removeprefix("0."): value for key, value in ours.body.state_dict().items()}
    if name == "densenet121":
        mine = {f"features.{key}": value for key, value in mine.items()}
    missing, unexpected = theirs.load_state_dict(mine, strict=False)
    classifier = {
        "resnet18": "fc",
        "densenet121": "classifier",
        "googlenet": "fc",
        "mobilenet_v3_small": "classifier.3",
    }
    assert (set(missing), unexpected) == ({f"{classifier[name]}.weight", f"{classifier[name]}.bias"}, [])
    theirs.set_submodule(classifier[name], nn.Identity())
    images = torch.rand(2, 3, 64, 64)
    assert torch.allclose(ours.body(images), theirs(images), atol=1e-5)


def test_colours_are_normalised_as_published_weights_want_them() -> None:
    images = torch.rand(1, 3, 4, 4)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (images - mean[:, None, None]) / std[:, None, None]
    assert torch.allclose(made("resnet18").front(images), expected, atol=1e-6)
    assert torch.allclose(made("googlenet").front(images), 2 * images - 1, atol=1e-6)


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "densenet121", "timm/resnet18"])
def test_a_stem_without_strides_gives_maps_4_times_as_large(name: str) -> None:
    outputs = []
    for stride in (2, 1):
        backbone = on_meta(name, stride)
        backbone.body.eval()
        outputs.append(maps(backbone, torch.empty(1, 3, 64, 64, device=META))[1])
        assert backbone.min_size == (32 if stride == 2 else 8)
    halved, full = outputs
    factor = {layer: 2 if layer == "act1" else 4 for layer in halved}
    expected = {layer: tuple(factor[layer] * side for side in output.shape[2:]) for layer, output in halved.items()}
    assert {layer: tuple(output.shape[2:]) for layer, output in full.items()} == expected


def test_a_stem_without_strides_keeps_the_weights_and_takes_the_smallest_images() -> None:
    strided, plain = made("resnet18"), made("resnet18", stem_stride=1)
    assert strided.body.state_dict().keys() == plain.body.state_dict().keys()
    assert all(map(torch.equal, strided.body.state_dict().values(), plain.body.state_dict().values()))
    assert plain.body(torch.rand(1, 3, 8, 8)).shape == (1, 512)


def test_a_stem_that_has_no_such_strides_is_told() -> None:
    with pytest.raises(InputError, match="vgg16 keeps the strides"):
        on_meta("vgg16", stem_stride=1)
    with pytest.raises(InputError, match="test_vit keeps the strides"):
        made("timm/test_vit", stem_stride=1)

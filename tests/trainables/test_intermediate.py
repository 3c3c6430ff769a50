from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from tests.trainables import tiny_clip
from trainables.backbones import build_backbone
from trainables.intermediate import intermediate


def test_a_convolutional_network_gives_the_mean_of_every_named_layers_map() -> None:
    backbone = build_backbone("resnet18")
    vectors = intermediate(backbone).eval()
    images = torch.rand(2, 3, 40, 40)
    found = vectors(images)
    network: Any = backbone.body
    maps = network.maxpool(network.relu(network.bn1(network.conv1(images))))
    for vector, name in zip(found, ("layer1", "layer2", "layer3", "layer4"), strict=True):
        maps = getattr(network, name)(maps)
        torch.testing.assert_close(vector, maps.mean(dim=(2, 3)))
    assert vectors.widths(32) == [64, 128, 256, 512]


def test_a_clip_gives_its_class_token_at_the_second_normalisation_of_every_block() -> None:
    model = tiny_clip.model()
    parameters = tiny_clip.parameters()
    backbone = build_backbone(parameters["architecture"], weights=parameters["weights"])
    images = torch.rand(2, 3, 32, 32)
    seen: list[torch.Tensor] = []
    hooks = [
        part.register_forward_hook(lambda _, __, output: seen.append(output))
        for name, part in model.visual.named_modules()
        if name.endswith("ln_2")
    ]
    with torch.no_grad():
        model.encode_image(images)
        found = intermediate(backbone).eval()(images)
    for hook in hooks:
        hook.remove()
    assert len(found) == len(seen) == 4
    for vector, tokens in zip(found, seen, strict=True):
        torch.testing.assert_close(vector, tokens[:, 0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("name", "layers"), [("timm/test_vit", 6), ("timm/test_convnext", None)])
def test_networks_of_timm_give_a_vector_a_layer(name: str, layers: int | None) -> None:
    backbone = build_backbone(name)
    widths = intermediate(backbone).widths(backbone.min_size)
    assert len(widths) == (layers or len(backbone.layers))


def test_a_copy_looks_into_itself() -> None:
    backbone = build_backbone("resnet18")
    vectors = intermediate(backbone).eval()
    other = copy.deepcopy(vectors)
    with torch.no_grad():
        for parameter in vectors.parameters():
            parameter.zero_()
        assert not vectors(torch.rand(1, 3, 32, 32))[-1].any()
        assert other(torch.rand(1, 3, 32, 32))[-1].any()


def test_looking_leaves_modes_and_hooks_as_they_were() -> None:
    vectors = intermediate(build_backbone("resnet18")).train()
    vectors.widths(32)
    assert all(part.training for part in vectors.modules())
    assert not any(part._forward_hooks for part in vectors.modules())

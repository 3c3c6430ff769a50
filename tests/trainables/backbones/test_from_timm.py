"""timm's networks: features as timm computes them, and maps of whatever their layers return."""

from __future__ import annotations

import pytest
import timm
import torch

from tests.trainables.backbones.measured import META, made, maps, on_meta
from trainables.errors import InputError
from trainables.seeding import seeded


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_vit", "test_efficientnet", "test_mambaout"])
def test_features_are_timms(name: str) -> None:
    """Of the same seed, at the network's own size: the views of layers change nothing."""
    with seeded(0, "weights"):
        theirs = timm.create_model(name, num_classes=0).eval()
    size = theirs.pretrained_cfg["input_size"][-1]
    images = torch.rand(2, 3, size, size)
    assert torch.allclose(made(f"timm/{name}").body(images), theirs(images), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("test_convnext", 64, {"stages_0": 16, "stages_1": 8, "stages_2": 4, "stages_3": 2}),
        ("test_resnet", 64, {"act1": 32, "layer1": 16, "layer2": 8, "layer3": 4, "layer4": 2}),
        ("vit_tiny_patch16_224", 64, {"blocks_2": 4, "blocks_5": 4, "blocks_8": 4, "blocks_10": 4}),
        ("swin_tiny_patch4_window7_224", 64, {"layers_0": 16, "layers_1": 8, "layers_2": 4, "layers_3": 2}),
        ("mixer_s16_224", 224, {"blocks_1": 14, "blocks_3": 14, "blocks_5": 14, "blocks_7": 14}),
    ],
)
def test_layers_are_maps_from_shallow_to_deep(name: str, size: int, expected: dict[str, int]) -> None:
    backbone = on_meta(f"timm/{name}")
    backbone.body.eval()
    features, outputs = maps(backbone, torch.empty(2, 3, size, size, device=META))
    assert features.shape == (2, backbone.feature_dim)
    assert {layer: output.shape[2] for layer, output in outputs.items()} == expected
    assert all(output.shape[2] == output.shape[3] for output in outputs.values())


@pytest.mark.parametrize(("name", "published"), [("resnet50", 25_557_032), ("convnext_tiny", 28_589_128)])
def test_networks_have_the_published_parameters(name: str, published: int) -> None:
    backbone = on_meta(f"timm/{name}")
    count = sum(parameter.numel() for parameter in backbone.body.parameters())
    assert count + 1000 * backbone.feature_dim + 1000 == published


def test_maps_of_patches_lie_as_the_image_does() -> None:
    backbone = made("timm/test_vit")
    images = torch.rand(1, 3, 32, 48)
    before = maps(backbone, images)[1]["blocks_0"]
    images[:, :, 16:, 32:] = 0
    changed = (maps(backbone, images)[1]["blocks_0"] - before).abs().sum(dim=1)[0]
    assert changed.shape == (2, 3)
    assert changed.argmax() == 5


def test_sizes_that_a_network_does_not_take_are_refused() -> None:
    with pytest.raises(InputError, match="multiples of 16"):
        made("timm/test_vit").body(torch.rand(1, 3, 40, 40))
    mixer = on_meta("timm/mixer_s16_224")
    assert mixer.min_size == 224
    with pytest.raises(InputError, match="images of 224x224"):
        mixer.body(torch.empty(1, 3, 256, 256, device=META))


def test_the_smallest_image_passes() -> None:
    for name in ("test_efficientnet", "test_vit", "test_byobnet"):
        backbone = made(f"timm/{name}")
        assert backbone.body(torch.rand(1, 3, backbone.min_size, backbone.min_size)).isfinite().all()

"""torchvision's vision transformers, cut open for maps and other sizes, compute what torchvision's do."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer
from torchvision.models.vision_transformer import interpolate_embeddings

from tests.trainables.backbones.measured import META, maps, on_meta
from trainables.backbones.transformer import Transformer, interpolated
from trainables.errors import InputError

LAYERS = {"block1": 1, "block2": 2}


@pytest.fixture
def network() -> VisionTransformer:
    """Three blocks of width 16 on patches of 16, for images of 64; positions drawn as after a training."""
    torch.manual_seed(0)
    made = VisionTransformer(64, 16, num_layers=3, num_heads=2, hidden_dim=16, mlp_dim=32)
    nn.init.normal_(made.encoder.pos_embedding)
    made.heads = nn.Identity()
    return made.eval()


def test_features_are_those_of_torchvisions_network(network: VisionTransformer) -> None:
    images = torch.rand(2, 3, 64, 64)
    expected = network(images)
    assert torch.allclose(Transformer(network, LAYERS).eval()(images), expected, atol=1e-6)


@pytest.mark.parametrize("side", [2, 7, 14])
def test_positions_of_another_size_are_those_torchvision_interpolates(network: VisionTransformer, side: int) -> None:
    state = OrderedDict({"encoder.pos_embedding": network.encoder.pos_embedding.detach()})
    expected = interpolate_embeddings(16 * side, 16, state)["encoder.pos_embedding"]
    found = interpolated(network.encoder.pos_embedding, side, side)
    assert found.shape == (1, 1 + side * side, 16)
    assert torch.allclose(found, expected, atol=1e-5)


def test_images_of_any_multiple_of_the_patch_pass_and_maps_lie_as_the_image_does(network: VisionTransformer) -> None:
    body = Transformer(network, LAYERS).eval()
    images = torch.rand(1, 3, 32, 48)
    seen: list[torch.Tensor] = []
    body.maps()["block1"].register_forward_hook(lambda _, __, output: seen.append(output))
    body(images)
    images[:, :, 16:, 32:] = 0
    body(images)
    changed = (seen[1] - seen[0]).abs().sum(dim=1)[0]
    assert changed.shape == (2, 3)
    # Attention spreads the change everywhere; the patch itself changes most.
    assert changed.argmax() == 5


@pytest.mark.parametrize(("height", "width"), [(70, 64), (64, 40)])
def test_images_that_are_not_whole_patches_are_refused(network: VisionTransformer, height: int, width: int) -> None:
    with pytest.raises(InputError, match="multiples of 16"):
        Transformer(network, LAYERS)(torch.rand(1, 3, height, width))


def test_the_published_transformers_take_images_of_64() -> None:
    backbone = on_meta("vit_b_16")
    backbone.body.eval()
    features, outputs = maps(backbone, torch.empty(2, 3, 64, 64, device=META))
    assert features.shape == (2, 768)
    assert {name: tuple(output.shape) for name, output in outputs.items()} == {
        f"block{count}": (2, 768, 4, 4) for count in (3, 6, 9, 11)
    }

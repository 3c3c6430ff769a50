from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.trainables import tiny_clip
from trainables.backbones import build_backbone, find_backbone
from trainables.backbones.backbone import Backbone
from trainables.errors import InputError
from trainables.resampling import Resampled

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    parameters = tiny_clip.parameters()
    return build_backbone(parameters["architecture"], weights=parameters["weights"])


def _expected(images: torch.Tensor) -> torch.Tensor:
    """What open_clip's own model makes of images of its size."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    features: torch.Tensor = tiny_clip.model().encode_image((images - mean) / std)
    return features


def test_its_features_are_those_of_open_clip(backbone: Backbone) -> None:
    images = torch.rand(3, 3, 32, 32)
    found = backbone.body(backbone.front(images))
    assert found.shape == (3, backbone.feature_dim) == (3, 24)
    torch.testing.assert_close(found, _expected(images), atol=1e-5, rtol=1e-4)


def test_larger_images_are_seen_in_their_middle_and_smaller_ones_enlarged(backbone: Backbone) -> None:
    images = torch.rand(2, 3, 40, 36)
    found = backbone.body(backbone.front(images))
    torch.testing.assert_close(found, _expected(images[:, :, 4:36, 2:34]), atol=1e-5, rtol=1e-4)
    small = torch.rand(2, 3, 20, 20)
    torch.testing.assert_close(
        backbone.body(backbone.front(small)), _expected(Resampled(32)(small)), atol=1e-5, rtol=1e-4
    )


def test_its_layers_are_maps_of_patches(backbone: Backbone) -> None:
    shapes = {}
    for name, layer in backbone.layers.items():
        layer.register_forward_hook(lambda _, __, output, name=name: shapes.update({name: output.shape}))
    backbone.body(backbone.front(torch.rand(2, 3, 32, 32)))
    assert shapes == dict.fromkeys(("block1", "block2", "block3"), (2, 48, 4, 4))


def test_the_image_towers_weights_alone_will_do(tmp_path: Path) -> None:
    path = tmp_path / "tower.safetensors"
    save_file(tiny_clip.model().visual.state_dict(), path)
    found = build_backbone(f"open_clip/{tiny_clip.NAME}", weights=path)
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(found.body(found.front(images)), _expected(images), atol=1e-5, rtol=1e-4)


def test_absent_weights_are_named_with_what_would_fetch_them(tmp_path: Path) -> None:
    tiny_clip.model()
    with pytest.raises(InputError) as error:
        build_backbone("open_clip/ViT-S-32-alt", weights=tmp_path / "absent.safetensors")
    assert str(tmp_path / "absent.safetensors") in str(error.value)
    with pytest.raises(InputError, match=r"hf download timm/\S+ open_clip_model.safetensors --local-dir weights"):
        build_backbone("open_clip/ViT-B-32-quickgelu", weights=tmp_path / "absent.safetensors")


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"visual.conv1.weight": torch.zeros(3), "text.bias": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"these weights are not open_clip/tiny-clip's"):
        build_backbone(f"open_clip/{tiny_clip.NAME}", weights=path)


def test_names_are_found_and_the_nearest_told() -> None:
    tiny_clip.model()
    find_backbone("open_clip/ViT-L-14-quickgelu")
    with pytest.raises(InputError, match=r"did you mean .*'open_clip/ViT-L-14'"):
        find_backbone("open_clip/ViT-L-15")


@pytest.mark.parametrize("name", ["coca_ViT-B-32", "ViT-B-16-SigLIP"])
def test_towers_of_another_kind_are_refused(name: str) -> None:
    tiny_clip.model()
    with pytest.raises(InputError, match="no plain vision transformer"):
        build_backbone(f"open_clip/{name}")

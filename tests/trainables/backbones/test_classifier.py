"""Somebody's trained detector as it comes: its classifier is kept, and says what the network itself says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models

from tests.trainables import tiny_clip
from trainables.backbones.names import HALVES, IMAGENET, classifier
from trainables.checkpoint import WEIGHTS, save_detector
from trainables.detector import Detector, build_detector
from trainables.detectors.backbone import Config
from trainables.errors import InputError
from trainables.registry import find

TORCHVISION = ("resnet18", "densenet121", "mobilenet_v3_small", "efficientnet_b0", "convnext_tiny", "googlenet")
TIMM = ("timm/test_resnet", "timm/test_vit", "timm/test_convnext", "timm/test_efficientnet")


def _network(name: str, outputs: int) -> nn.Module:
    torch.manual_seed(0)
    if name in TIMM:
        extra: dict[str, Any] = {"dynamic_img_size": True} if name == "timm/test_vit" else {}
        network: nn.Module = timm.create_model(name.removeprefix("timm/"), num_classes=outputs, **extra)
    else:
        extra = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
        network = models.get_model(name, weights=None, num_classes=outputs, **extra)
    return network.eval()


def _said(network: nn.Module, name: str, images: Tensor) -> Tensor:
    """(B, K) outputs of the network itself on normalised colours."""
    colours = HALVES if name == "googlenet" else IMAGENET
    if name in TIMM:
        about = timm.get_pretrained_cfg(name.removeprefix("timm/"))
        assert about is not None
        colours = about.mean, about.std
    mean, std = (torch.tensor(each)[:, None, None] for each in colours)
    with torch.inference_mode():
        said: Tensor = network((images - mean) / std)
    return said


def _as_it_comes(weights: Path, name: str = "resnet18", classes: int = 2, **parameters: Any) -> Detector:
    config = Config(architecture=name, weights=weights, trainable="none", **parameters)
    return build_detector("backbone", config, seed=0, classes=classes).eval()


def _odds(detector: Detector, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return detector.log_odds(images)


@pytest.mark.parametrize("name", [*TORCHVISION, *TIMM])
def test_one_output_is_the_log_odds_of_fake(name: str, tmp_path: Path) -> None:
    network, images = _network(name, 1), torch.rand(3, 3, 64, 64)
    save_file(network.state_dict(), tmp_path / "one.safetensors")
    detector = _as_it_comes(tmp_path / "one.safetensors", name)
    expected = _said(network, name, images)[:, 0]
    torch.testing.assert_close(_odds(detector, images), expected, atol=1e-5, rtol=1e-4)
    with torch.inference_mode():
        torch.testing.assert_close(detector.probability(images), expected.sigmoid(), atol=1e-5, rtol=1e-4)
    assert (detector.scale, detector.shift) == (1, 0)


@pytest.mark.parametrize("name", ["resnet18", "timm/test_vit"])
def test_of_two_outputs_the_second_is_fake(name: str, tmp_path: Path) -> None:
    network, images = _network(name, 2), torch.rand(3, 3, 64, 64)
    torch.save(network.state_dict(), tmp_path / "two.pth")
    expected = _said(network, name, images).softmax(dim=1)[:, 1]
    with torch.inference_mode():
        found = _as_it_comes(tmp_path / "two.pth", name).probability(images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_one_output_says_what_two_with_a_real_logit_of_zero_say(tmp_path: Path) -> None:
    one = _network("resnet18", 1).state_dict()
    two = one | {key: torch.cat([torch.zeros_like(one[key]), one[key]]) for key in ("fc.weight", "fc.bias")}
    images = torch.rand(4, 3, 64, 64)
    found = []
    for name, state in (("one", one), ("two", two)):
        torch.save(state, tmp_path / f"{name}.pth")
        found.append(_odds(_as_it_comes(tmp_path / f"{name}.pth"), images))
    torch.testing.assert_close(*found, atol=1e-6, rtol=1e-6)


def test_of_three_classes_the_fake_ones_share_one_outputs_odds(tmp_path: Path) -> None:
    network, images = _network("resnet18", 1), torch.rand(2, 3, 64, 64)
    torch.save(network.state_dict(), tmp_path / "one.pth")
    found = _odds(_as_it_comes(tmp_path / "one.pth", classes=3), images)
    torch.testing.assert_close(found, _said(network, "resnet18", images)[:, 0], atol=1e-5, rtol=1e-4)


def test_cnndetections_own_form_is_taken(tmp_path: Path) -> None:
    """A state dict under ``model``, beside its optimiser's; from several GPUs, each name after ``module.``."""
    network, images = _network("resnet18", 1), torch.rand(2, 3, 64, 64)
    optimiser = torch.optim.Adam(network.parameters()).state_dict()
    state = nn.DataParallel(network).state_dict()
    torch.save({"model": state, "optimizer": optimiser, "total_steps": 9}, tmp_path / "blur_jpg_prob0.5.pth")
    found = _odds(_as_it_comes(tmp_path / "blur_jpg_prob0.5.pth"), images)
    torch.testing.assert_close(found, _said(network, "resnet18", images)[:, 0], atol=1e-5, rtol=1e-4)


def test_a_classifier_may_be_a_convolution_of_one_pixel(tmp_path: Path) -> None:
    state = _network("resnet18", 2).state_dict()
    for name, weight in (("flat", state["fc.weight"]), ("map", state["fc.weight"][:, :, None, None])):
        torch.save(state | {"fc.weight": weight}, tmp_path / f"{name}.pth")
    flat, as_map = (_as_it_comes(tmp_path / f"{name}.pth").state_dict() for name in ("flat", "map"))
    assert torch.equal(flat["head.weight"], as_map["head.weight"])


def _without_head(**others: Tensor) -> dict[str, Tensor]:
    state = _network("resnet18", 2).state_dict()
    return {key: tensor for key, tensor in state.items() if not key.startswith("fc.")} | others


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (_without_head(), "no fc"),
        (_without_head(**{"fc.1.weight": torch.ones(2, 512), "fc.1.bias": torch.ones(2)}), r"fc\.1\.weight \(2, 512\)"),
        (_without_head(**{"fc.weight": torch.ones(2, 512)}), r"fc\.weight \(2, 512\)"),
        (_without_head(**{"fc.weight": torch.ones(2, 9), "fc.bias": torch.ones(2)}), r"fc\.weight \(2, 9\)"),
        (_without_head(**{"fc.weight": torch.ones(3, 512), "fc.bias": torch.ones(3)}), "3 outputs"),
        (_without_head(**{"fc.weight": torch.ones(1000, 512), "fc.bias": torch.ones(1000)}), r"fc\.bias \(1000,\)"),
    ],
)
def test_what_tells_not_real_from_fake_is_refused_with_names_and_shapes(
    state: dict[str, Tensor], told: str, tmp_path: Path
) -> None:
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(InputError, match=told) as error:
        _as_it_comes(tmp_path / "other.pth")
    assert str(tmp_path / "other.pth") in str(error.value)


def test_a_network_without_a_classifier_has_none_to_keep() -> None:
    parameters = tiny_clip.parameters()
    tiny_clip.model()
    with pytest.raises(InputError, match="no classifier"):
        _as_it_comes(parameters["weights"], parameters["architecture"])


def test_a_published_classifier_is_a_linear_head(tmp_path: Path) -> None:
    torch.save(_network("resnet18", 1).state_dict(), tmp_path / "one.pth")
    with pytest.raises(InputError, match="head: linear"):
        _as_it_comes(tmp_path / "one.pth", head="mlp")


@pytest.mark.parametrize(("kind", "head"), [("backbone", "linear"), ("backbone", "bottleneck"), ("cnndetection", None)])
def test_a_detector_of_ours_comes_with_head_calibration_and_views(kind: str, head: str | None, tmp_path: Path) -> None:
    given = {"architecture": "resnet18"} | ({"head": head} if head else {})
    config = find("detectors", kind).config.model_validate(given)
    trained = build_detector(kind, config, seed=3).eval()
    trained.scale.fill_(0.5)
    trained.shift.fill_(-1.5)
    trained.views = 2
    save_detector(tmp_path, trained, {"kind": kind, "config": config.model_dump(mode="json"), "image": {"size": 32}})
    found = _as_it_comes(tmp_path / WEIGHTS, head=head or "linear")
    assert found.state_dict().keys() == trained.state_dict().keys()
    assert all(torch.equal(value, trained.state_dict()[name]) for name, value in found.state_dict().items())
    assert found.views == 2
    with pytest.raises(InputError, match="not this detector's") as error:
        _as_it_comes(tmp_path / WEIGHTS, head="mlp")
    assert "head.2.weight" in str(error.value)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("vgg16", "classifier.6"),
        ("vit_b_16", "heads.head"),
        ("timm/convnext_tiny", "head.fc"),
        ("timm/deit_tiny_distilled_patch16_224", None),
        ("open_clip/ViT-B-32", None),
    ],
)
def test_the_one_classifier_of_a_network_is_known_by_its_path(name: str, path: str | None) -> None:
    assert classifier(name) == path

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.trainables.toy import QUICK, context, toy_detector, toy_images
from trainables.contract import Images
from trainables.detector import Detector, as_input
from trainables.detectors import dfx
from trainables.errors import InputError
from trainables.fusion import FrozenNetworks, class_accuracy, convolutions, take_in
from trainables.score import score

RECIPE = QUICK.model_copy(update={"epochs": 1, "batch": 8, "class_weights": "complement"})


@pytest.fixture(scope="module")
def images() -> Images:
    """Real ones, and fakes of two kinds: labels 0, 1 and 2."""
    found = toy_images(24, seed=3)
    return replace(found, labels=found.labels * (1 + np.arange(24) // 2 % 2))


@pytest.fixture(scope="module")
def specialists() -> list[Detector]:
    return [toy_detector("backbone", seed=seed) for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def fused(images: Images, specialists: list[Detector], tmp_path_factory: pytest.TempPathFactory) -> Detector:
    detector = toy_detector("dfx", classes=3)
    config = dfx.Config(recipe=RECIPE)
    here = context(tmp_path_factory.mktemp("fit"))
    outcome = dfx.fuse(config, detector, specialists, images, images, here)
    assert outcome.metrics["source_val_class_accuracy"] == class_accuracy(detector, images, here)
    return detector


def test_the_convolutions_are_the_published_ones() -> None:
    found = convolutions(3).eval()
    sizes = [part.weight.shape for part in found if isinstance(part, torch.nn.Conv1d)]
    assert sizes == [(16, 3, 7), (64, 16, 5), (256, 64, 3), (512, 256, 3), (1024, 512, 3)]
    assert [type(part).__name__ for part in found] == [
        *["Conv1d", "ReLU", "BatchNorm1d"] * 4,
        "Conv1d",
        "ReLU",
        "AdaptiveAvgPool1d",
        "Flatten",
    ]
    rows = torch.rand(2, 3, 512)
    lengths = []
    for part in found[:-2]:
        rows = part(rows)
        lengths += [rows.shape[2]] if isinstance(part, torch.nn.Conv1d) else []
    assert lengths == [254, 126, 126, 126, 126]  # (D + 2 - k) // stride + 1


def test_it_has_the_parameters_of_three_networks_and_of_what_is_trained() -> None:
    detector = toy_detector("dfx", classes=3)
    own = 352 + 32 + 5_184 + 128 + 49_408 + 512 + 393_728 + 1_024 + 1_573_888 + 3_075
    trained = sum(p.numel() for p in detector.parameters() if p.requires_grad)
    assert trained == own == 2_027_331
    networks = 3 * 11_176_512  # torchvision's ResNet-18 without its classifier
    colours = 3 * (9 // 3 + 3)  # a factor and a shift for each of three
    assert sum(p.numel() for p in detector.parameters()) == own + networks + colours


def test_features_of_the_three_are_read_side_by_side(specialists: list[Detector], fused: Detector) -> None:
    batch = as_input(toy_images(4, seed=9).pixels[:])
    fused.eval()
    rows = torch.stack([each.eval().features(batch) for each in specialists], dim=1)
    assert torch.allclose(fused.front(batch), rows, atol=1e-5)
    x, strides = rows, (2, 2, 1, 1, 1)
    weights = {name: value.double() for name, value in fused.body.state_dict().items()}
    for layer, stride in enumerate(strides):
        conv, norm = str(3 * layer), str(3 * layer + 2)
        x = functional.conv1d(x.double(), weights[f"{conv}.weight"], weights[f"{conv}.bias"], stride, padding=1).relu()
        if layer < 4:
            shape = (1, -1, 1)
            mean, var = (weights[f"{norm}.running_{name}"].view(shape) for name in ("mean", "var"))
            scale, shift = (weights[f"{norm}.{name}"].view(shape) for name in ("weight", "bias"))
            x = (x - mean) / (var + 1e-5).sqrt() * scale + shift
    expected = functional.linear(x.mean(dim=2), fused.head.weight.double(), fused.head.bias.double())
    assert torch.allclose(fused(batch).double(), expected, atol=1e-4)


def test_the_networks_stay_as_they_were_to_the_bit(specialists: list[Detector], fused: Detector) -> None:
    assert isinstance(fused.front, FrozenNetworks)
    for network, part in zip(fused.front.networks.values(), specialists, strict=True):
        own = torch.nn.Sequential(part.front, part.body).state_dict()
        assert all(torch.equal(value, own[name]) for name, value in network.state_dict().items())
    fused.train()
    assert not any(part.training for part in fused.front.modules())
    assert fused.body.training


def test_it_calls_fake_what_is_of_either_family_of_fakes(fused: Detector, images: Images) -> None:
    with torch.inference_mode():
        three = fused.eval()(as_input(images.pixels[:])).softmax(dim=1)
    for batch in (1, 5, 24):
        found = score(fused, images.pixels, batch=batch)
        assert found == pytest.approx((three[:, 1] + three[:, 2]).numpy(), abs=1e-6)


def test_the_accuracy_of_classes_is_that_of_the_most_probable_one(
    fused: Detector, images: Images, tmp_path: Path
) -> None:
    with torch.inference_mode():
        called = fused.eval()(as_input(images.pixels[:])).argmax(dim=1).numpy()
    assert class_accuracy(fused, images, context(tmp_path)) == np.mean(called == images.labels)


def test_the_squares_of_an_image_have_one_class(fused: Detector, images: Images, tmp_path: Path) -> None:
    halves = replace(images, labels=images.labels[::2].repeat(2), views=2)
    with torch.inference_mode():
        probabilities = fused.eval()(as_input(images.pixels[:])).softmax(dim=1).numpy()
    called = (probabilities[::2] + probabilities[1::2]).argmax(axis=1)
    assert class_accuracy(fused, halves, context(tmp_path)) == np.mean(called == halves.labels[::2])


def test_other_networks_are_refused(specialists: list[Detector]) -> None:
    with pytest.raises(InputError, match="a trained detector for each network") as caught:
        take_in(toy_detector("dfx"), specialists[:2])
    assert caught.value.value == "2 of 3"
    with pytest.raises(InputError, match="the network of the family gan is another"):
        take_in(toy_detector("dfx"), [specialists[0], toy_detector("residual_cnn"), specialists[2]])


def test_its_specialists_are_three_of_one_kind_whose_own_recipe_is_no_part_of_the_fusions(tmp_path: Path) -> None:
    weights = tmp_path / "start.safetensors"
    weights.touch()
    first = dfx.Config(weights=weights, ratio=0.1)
    second = dfx.Config.model_validate({"weights": weights, "ratio": 0.1, "recipe": {"epochs": 3}})
    assert first.specialists == second.specialists
    assert [each.family for each in first.specialists] == ["dm", "gan", "real"]
    assert {(each.ratio, str(each.config.weights)) for each in first.specialists} == {(0.1, str(weights))}
    assert first.recipe.class_weights == "complement"
    assert all(each.config.recipe == first.specialist for each in first.specialists)
    assert first.specialist.class_weights == "none"

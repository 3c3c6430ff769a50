"""Which parameters are which block."""

from __future__ import annotations

import pytest
from torch import nn

from tests.trainables.toy import toy_detector
from trainables.blocks import block, blocks, deepest
from trainables.detector import Detector
from trainables.errors import InputError


def _names(detector: Detector, parameters: tuple[nn.Parameter, ...]) -> set[str]:
    of = {id(parameter): name for name, parameter in detector.named_parameters()}
    return {of[id(parameter)] for parameter in parameters}


def _made(body: nn.Sequential, layers: dict[str, nn.Module], front: nn.Module | None = None) -> Detector:
    head = nn.Linear(4, 2)
    return Detector(
        front=front or nn.Identity(), body=body, head=head, layers=layers, feature_dim=4, min_size=8, classes=2
    )


@pytest.mark.parametrize("kind", ["residual_cnn", "backbone"])
def test_every_trainable_parameter_is_in_one_block(kind: str) -> None:
    detector = toy_detector(kind)
    found = [name for parameters in blocks(detector).values() for name in _names(detector, parameters)]
    assert sorted(found) == sorted(name for name, p in detector.named_parameters() if p.requires_grad)


def test_blocks_are_named_from_the_images_to_the_logits() -> None:
    assert list(blocks(toy_detector())) == ["block1", "block2", "block3", "block4", "head"]
    network = toy_detector("backbone")
    found = blocks(network)
    assert list(found) == ["stem", "layer1", "layer2", "layer3", "layer4", "head"]
    assert _names(network, found["stem"]) == {"body.conv1.weight", "body.bn1.weight", "body.bn1.bias"}
    assert _names(network, found["head"]) == {"head.weight", "head.bias"}
    assert all(name.startswith("body.layer3.") for name in _names(network, found["layer3"]))


def test_a_layer_without_parameters_has_those_before_it() -> None:
    first, second = nn.ReLU(), nn.ReLU()
    body = nn.Sequential(nn.Conv2d(3, 4, 3), first, nn.Conv2d(4, 4, 3), second, nn.Conv2d(4, 4, 1), nn.Flatten())
    detector = _made(body, {"relu1": first, "relu2": second})
    found = {name: _names(detector, parameters) for name, parameters in blocks(detector).items()}
    assert found["relu1"] == {"body.0.weight", "body.0.bias"}
    assert found["relu2"] == {"body.2.weight", "body.2.bias", "body.4.weight", "body.4.bias"}
    assert list(found) == ["relu1", "relu2", "head"]


def test_without_layers_the_body_is_the_stem_and_a_layer_may_be_in_the_front() -> None:
    assert list(blocks(_made(nn.Sequential(nn.Conv2d(3, 4, 3)), {}))) == ["stem", "head"]
    assert list(blocks(_made(nn.Sequential(nn.Flatten()), {}))) == ["head"]
    front = nn.Conv2d(3, 3, 1)
    assert list(blocks(_made(nn.Sequential(nn.Conv2d(3, 4, 3)), {"front": front}, front))) == ["front", "head"]


def test_one_block_and_the_deepest() -> None:
    detector = toy_detector()
    assert block(detector, 1) == block(detector, "block1") == blocks(detector)["block1"]
    assert _names(detector, deepest(detector, 0)) == {"head.weight", "head.bias"}
    assert set(deepest(detector, 2)) == {*block(detector, "block3"), *block(detector, "block4"), *block(detector, 5)}


@pytest.mark.parametrize(("which", "told"), [("blok1", "block1"), (0, "1 to 5"), (6, "1 to 5")])
def test_an_unknown_block_is_told(which: int | str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        block(toy_detector(), which)


def test_more_blocks_than_there_are_is_told() -> None:
    with pytest.raises(InputError, match="4 blocks before its head"):
        deepest(toy_detector(), 5)

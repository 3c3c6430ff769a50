"""Published networks with a new head, trained from some depth on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from tests.trainables.toy import context, toy_detector, toy_images
from trainables.blocks import HEAD, STEM, blocks, deepest
from trainables.checkpoint import load_detector, save_detector
from trainables.contract import AdaptationData
from trainables.detector import Detector, as_input, build_detector
from trainables.detectors.backbone import Config
from trainables.errors import InputError
from trainables.fit import fit, train
from trainables.metrics import detection_metrics
from trainables.objective import SUPERVISED
from trainables.recipe import Recipe
from trainables.registry import find
from trainables.score import score

SMALL = ("mobilenet_v3_small", "timm/test_resnet", "timm/test_vit", "timm/test_convnext", "timm/test_efficientnet")


def _trained(detector: Detector) -> set[str]:
    return {name for name, parameter in detector.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("architecture", SMALL)
@pytest.mark.parametrize(("head", "classes"), [("linear", 2), ("mlp", 3), ("bottleneck", 3)])
def test_a_network_of_every_kind_takes_every_head(architecture: str, head: str, classes: int) -> None:
    detector = toy_detector("backbone", classes=classes, architecture=architecture, head=head).eval()
    batch = torch.rand(2, 3, 64, 64)
    assert detector(batch).shape == (2, classes)
    assert detector.features(batch).shape == (2, detector.feature_dim)


@pytest.mark.parametrize("architecture", [*SMALL, "resnet18"])
def test_gradients_reach_every_layer_and_every_pixel_channel(architecture: str) -> None:
    """What Grad-CAM needs: the logits depend on every layer's map, the deepest one of a transformer included."""
    detector = toy_detector("backbone", architecture=architecture).eval()
    seen: dict[str, torch.Tensor] = {}
    for name, layer in detector.layers.items():
        layer.register_forward_hook(lambda _, __, output, name=name: seen.update({name: output}))
    batch = torch.rand(1, 3, 64, 64, requires_grad=True)
    odds = detector.log_odds(batch).sum()
    gradients = torch.autograd.grad(odds, [batch, *seen.values()])
    assert list(seen) == list(detector.layers)
    assert all(gradient.abs().max() > 0 for gradient in gradients)
    assert gradients[0].abs().sum(dim=(0, 2, 3)).min() > 0


def test_s4s_axis_of_trained_layers() -> None:
    """The head alone, then layers 4, 3 and 2 with it, and everything."""
    heads = {"head.0.weight", "head.0.bias", "head.2.weight", "head.2.bias"}
    axis = {"head": (), "last:1": ("layer4",), "last:2": ("layer3", "layer4"), "last:3": ("layer2", "layer3", "layer4")}
    for trainable, layers in axis.items():
        detector = toy_detector("backbone", trainable=trainable, head="mlp")
        body = {name for name, _ in detector.named_parameters() if name.startswith(tuple(f"body.{x}." for x in layers))}
        assert _trained(detector) == heads | (body if layers else set())
    everything = _trained(toy_detector("backbone", head="mlp"))
    assert everything == _trained(toy_detector("backbone", head="mlp", trainable="last:5"))
    assert everything == {name for name, _ in detector.named_parameters() if not name.startswith("front.")}


@pytest.mark.parametrize("architecture", ["resnet18", "timm/test_vit"])
@pytest.mark.parametrize("trainable", ["head", "last:1"])
def test_what_is_frozen_is_bit_identical_after_a_training(architecture: str, trainable: str, tmp_path: Path) -> None:
    """Statistics of BatchNorm included, though the training goes through them."""
    images = toy_images(16, seed=0)
    detector = toy_detector("backbone", architecture=architecture, trainable=trainable)
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    trained = _trained(detector)
    fit(detector, SUPERVISED, Recipe(epochs=1, batch=8), images, images, context(tmp_path))
    changed = {name for name, value in detector.state_dict().items() if not torch.equal(value, before[name])}
    assert trained <= changed
    owners = {name.rpartition(".")[0] for name in trained}
    assert all(name in trained or name.rpartition(".")[0] in owners for name in changed)


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("resnet50", [STEM, "layer1", "layer2", "layer3", "layer4", HEAD]),
        ("densenet121", [STEM, "denseblock1", "denseblock2", "denseblock3", "denseblock4", HEAD]),
        ("vit_b_16", ["block3", "block6", "block9", "block11", HEAD]),
        ("convnext_tiny", [STEM, "stage1", "stage2", "stage3", "stage4", HEAD]),
        ("vgg16", ["conv1", "conv2", "conv3", "conv4", "conv5", HEAD]),
        ("timm/resnet18", ["act1", "layer1", "layer2", "layer3", "layer4", HEAD]),
        ("timm/vit_tiny_patch16_224", ["blocks_2", "blocks_5", "blocks_8", "blocks_10", HEAD]),
        ("timm/convnext_tiny", [STEM, "stages_0", "stages_1", "stages_2", "stages_3", HEAD]),
    ],
)
def test_fine_tuning_by_layers_finds_the_blocks_of_every_family(architecture: str, expected: list[str]) -> None:
    with torch.device("meta"):
        detector = build_detector("backbone", Config(architecture=architecture), seed=0)
    found = blocks(detector)
    assert list(found) == expected
    trained = [parameter for parameter in detector.parameters() if parameter.requires_grad]
    assert sorted(id(p) for block in found.values() for p in block) == sorted(map(id, trained))
    last = {name for name, p in detector.named_parameters() if id(p) in set(map(id, deepest(detector, 1)))}
    first_body_parameter = next(name for name, _ in detector.named_parameters() if name.startswith("body."))
    assert {"head.weight", "head.bias"} < last
    assert first_body_parameter not in last


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"architecture": "resnet50", "trainable": "last:9"}, "resnet50 has 5 blocks before its head"),
        ({"architecture": "vit_b_16", "trainable": "last:5"}, "vit_b_16 has 4 blocks before its head"),
        ({"trainable": "none", "recipe": {"epochs": 2}}, "nothing is trained"),
        ({"trainable": "none", "weights": "IMAGENET1K_V1", "allow_download": True}, "classes of ImageNet"),
        ({"trainable": "last:0"}, "no such part"),
        ({"trainable": "layer4"}, "last:2"),
        ({"architecture": "resnt18"}, "'resnet18'"),
        ({"architecture": "vgg16", "stem_stride": 1}, "keeps the strides"),
        ({"weights": "IMAGENET1K_V1"}, "resnet18-f37072fd.pth"),
        ({"head": "wide"}, "head"),
    ],
)
def test_what_cannot_be_is_told_when_the_study_is_read(parameters: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Config.model_validate(parameters)


def test_blocks_that_only_the_built_network_counts_are_told_then() -> None:
    config = Config(architecture="timm/test_resnet", trainable="last:9")
    with pytest.raises(InputError, match="trainable: the detector has 5 blocks before its head"):
        build_detector("backbone", config, seed=0)


def test_a_saved_one_comes_back_frozen_as_it_was(tmp_path: Path) -> None:
    config = Config(architecture="timm/test_vit", trainable="last:1", head="bottleneck")
    detector = build_detector("backbone", config, seed=1, classes=3).eval()
    save_detector(
        tmp_path, detector, {"kind": "backbone", "config": config.model_dump(mode="json"), "image": {"size": 32}}
    )
    loaded, _ = load_detector(tmp_path)
    batch = as_input(toy_images(2, seed=0).pixels[:])
    assert torch.equal(loaded(batch), detector(batch))
    assert _trained(loaded) == _trained(detector)


def test_one_that_is_ready_is_validated_and_left_as_it_is(tmp_path: Path) -> None:
    images = toy_images(16, seed=0)
    config = Config(architecture="timm/test_resnet", trainable="none")
    detector = build_detector("backbone", config, seed=0)
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    outcome = train(config, detector, images, images, context(tmp_path))
    figures = detection_metrics(images.labels, score(detector, images.pixels))
    assert outcome.metrics["source_val_auroc"] == pytest.approx(figures["auroc"])
    assert outcome.metrics.keys() == {"source_val_accuracy", "source_val_auroc", "source_val_loss", "epoch"}
    assert (outcome.metrics["epoch"], list(outcome.curves), outcome.images) == (0, [], 0)
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())


def test_an_adaptation_may_train_all_of_one_that_is_ready(tmp_path: Path) -> None:
    config = Config(architecture="timm/test_resnet", trainable="none")
    detector = build_detector("backbone", config, seed=0)
    about = {"kind": "backbone", "config": config.model_dump(mode="json"), "image": {"size": 32}}
    save_detector(tmp_path, detector, about)
    loaded, _ = load_detector(tmp_path)
    images = toy_images(16, seed=0)
    data = AdaptationData(source_train=images, source_val=images, target=toy_images(16, seed=1).without_labels())
    method = find("adaptations", "coral")
    method.load().adapt(method.config(recipe=Recipe(epochs=1, batch=8)), loaded, data, context(tmp_path))
    kept = [name for name, value in loaded.named_parameters() if torch.equal(value, detector.get_parameter(name))]
    assert kept == [name for name, _ in detector.named_parameters() if name.startswith("front.")]


def test_it_is_called_like_its_network() -> None:
    assert Config(architecture="resnet50").title == "resnet50"
    assert Config(architecture="timm/convnext_tiny").title == "timm-convnext_tiny"

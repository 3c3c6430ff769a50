from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torchvision.models import resnet18, vgg16

from tests.trainables.toy import QUICK, context, toy_detector, toy_images
from trainables.checkpoint import WEIGHTS, load_detector, save_detector
from trainables.detector import as_input
from trainables.detectors.frozen import Config, build, solve
from trainables.errors import InputError
from trainables.fit import fit
from trainables.objective import SUPERVISED
from trainables.score import infer, log_odds


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights as torchvision publishes them, with a classifier of 1000 classes and statistics of their own."""
    torch.manual_seed(3)
    network = resnet18(weights=None).train()
    network(torch.rand(8, 3, 64, 64))
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file(network.state_dict(), path)
    return path


def test_its_log_odds_are_the_support_vector_machines_on_the_networks_features(published: Path, tmp_path: Path) -> None:
    detector, source, val = toy_detector("frozen", weights=published), toy_images(48, seed=1), toy_images(32, seed=2)
    solve(Config(weights=published), detector, source, val, context(tmp_path))
    seen, held_out = (infer(detector, detector.features, part.pixels) for part in (source, val))
    machine = make_pipeline(StandardScaler(), LinearSVC(C=1, dual=False)).fit(seen.astype(np.float64), source.labels)
    wanted = machine.decision_function(held_out.astype(np.float64))
    scaled = (log_odds(detector, val.pixels) - detector.shift.item()) / detector.scale.item()
    np.testing.assert_allclose(scaled, wanted, atol=2e-3)


def test_everything_but_the_head_is_bit_identical_after_solving_and_after_training(
    published: Path, tmp_path: Path
) -> None:
    detector, source = toy_detector("frozen", weights=published), toy_images(32, seed=1)
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    solve(Config(weights=published), detector, source, source, context(tmp_path / "solved"))
    fit(detector, SUPERVISED, QUICK, source, source, context(tmp_path / "trained"))
    changed = {name for name, tensor in detector.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"head.weight", "head.bias", "scale", "shift"}


def test_vgg16_has_the_4096_features_of_its_second_fully_connected_layer() -> None:
    with torch.device("meta"):
        detector, network = build(Config(architecture="vgg16"), classes=2), vgg16()
    assert detector.feature_dim == 4096
    assert detector.head.weight.shape == (2, 4096)
    without = {name: p.shape for name, p in network.named_parameters() if not name.startswith("classifier.6")}
    assert {name: p.shape for name, p in detector.body.named_parameters()} == without


def test_a_detector_of_ours_is_weights_too(tmp_path: Path) -> None:
    trained = toy_detector("backbone", seed=5)
    trained(torch.rand(4, 3, 32, 32))
    save_detector(tmp_path, trained, {"kind": "backbone", "config": {}, "image": {"size": 32}})
    detector = toy_detector("frozen", weights=tmp_path / WEIGHTS)
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(detector.eval().body(images), trained.eval().body(images))
    with pytest.raises(InputError, match="not resnet34's"):
        toy_detector("frozen", architecture="resnet34", weights=tmp_path / WEIGHTS)


def test_a_saved_one_needs_no_file_of_weights(published: Path, tmp_path: Path) -> None:
    detector, source = toy_detector("frozen", weights=published), toy_images(16, seed=1)
    config = Config(weights=published)
    solve(config, detector, source, source, context(tmp_path))
    about = {
        "kind": "frozen",
        "config": config.model_dump(mode="json") | {"weights": "gone.pth"},
        "image": {"size": 32},
    }
    save_detector(tmp_path, detector, about)
    loaded, _ = load_detector(tmp_path)
    assert not any(parameter.requires_grad for parameter in loaded.body.parameters())
    assert torch.equal(loaded(as_input(source.pixels[:4])), detector.eval()(as_input(source.pixels[:4])))


def test_networks_that_do_not_exist_are_refused_when_a_study_is_read() -> None:
    with pytest.raises(ValidationError, match="vgg16"):
        Config(architecture="vgg_16")


def test_weights_are_never_downloaded_unless_asked_for() -> None:
    with pytest.raises(ValidationError, match="allow_download"):
        Config(weights="IMAGENET1K_V1")


@pytest.mark.parametrize("front", ["fft_real", "fft_logmag"])
def test_features_of_something_else_than_the_image_are_refused_where_they_are_used_as_they_are(
    front: str, tmp_path: Path
) -> None:
    save_detector(tmp_path, toy_detector(front), {"kind": front, "config": {}, "image": {"size": 32}})
    for kind in ("frozen", "rine"):
        with pytest.raises(InputError, match="trained on something else than the image"):
            toy_detector(kind, weights=tmp_path / WEIGHTS)
    for kind in ("backbone", "lora_backbone"):
        assert toy_detector(kind, weights=tmp_path / WEIGHTS)

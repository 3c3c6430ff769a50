from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.trainables import tiny_clip
from tests.trainables.toy import context, toy_detector, toy_images
from trainables.checkpoint import save_detector
from trainables.detector import as_input
from trainables.detectors import rine
from trainables.fit import fit
from trainables.importance import Importance
from trainables.losses import supervised_contrastive
from trainables.objective import TrainStep
from trainables.recipe import Recipe

IMAGES = toy_images(16, seed=0)


def _affine(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def test_it_trains_projections_weights_of_layers_and_head_alone() -> None:
    detector = toy_detector("rine", width=64, depth=4)
    trained = sum(p.numel() for p in detector.parameters() if p.requires_grad)
    entries = sum(_affine(k, 64) + 2 * k for k in (64, 128, 256, 512))
    assert trained == entries + 3 * _affine(64, 64) + 4 * 64 + 4 * _affine(64, 64) + 2 * _affine(64, 64) + _affine(
        64, 2
    )


def test_on_a_clip_it_has_the_published_parts() -> None:
    detector = toy_detector("rine", width=32, depth=2, **tiny_clip.parameters())
    trained = sum(p.numel() for p in detector.parameters() if p.requires_grad)
    q1, q2, head = _affine(48, 32) + _affine(32, 32), 2 * _affine(32, 32), 2 * _affine(32, 32) + _affine(32, 2)
    assert trained == q1 + 4 * 32 + q2 + head
    assert [type(part) for part in detector.head.modules() if isinstance(part, nn.Linear)] == [nn.Linear] * 3


def test_a_fit_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    detector = toy_detector("rine")
    before = {name: tensor.clone() for name, tensor in detector.state_dict().items()}
    objective = rine.objective(rine.Config())
    fitted = fit(detector, objective, Recipe(epochs=1, batch=8), IMAGES, IMAGES, context(tmp_path))
    after = detector.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in after if name.startswith("body.0.")}.isdisjoint(changed)
    assert "body.1.alpha" in changed
    assert {"classification", "contrast", "loss"} <= set(fitted.curves[0])


def test_its_loss_is_cross_entropy_and_contrast() -> None:
    detector, config = toy_detector("rine").eval(), rine.Config(contrast=0.3, temperature=0.5)
    batch, labels = as_input(IMAGES.pixels[:8]), torch.from_numpy(IMAGES.labels[:8])
    loss, terms = TrainStep(detector, rine.objective(config))(batch, labels, 0.0)
    features = detector.features(batch)
    expected = functional.cross_entropy(detector.classify(features), labels)
    assert terms["classification"].item() == pytest.approx(expected.item(), rel=1e-5)
    contrast = 0.3 * supervised_contrastive(features, labels, 0.5)
    assert loss.item() == pytest.approx((expected + contrast).item(), rel=1e-5)


def test_it_starts_from_a_detector_of_ours(tmp_path: Path) -> None:
    known = toy_detector("backbone", seed=3)
    save_detector(tmp_path, known, {"kind": "backbone", "config": {}, "image": {"size": 32}})
    detector = toy_detector("rine", weights=tmp_path / "model.safetensors")
    body = known.body.state_dict()
    found = {name.removeprefix("body.0.body."): tensor for name, tensor in detector.state_dict().items()}
    assert all(torch.equal(found[name], tensor) for name, tensor in body.items())


def test_every_feature_weighs_layers_by_itself() -> None:
    (importance,) = [part for part in toy_detector("rine").modules() if isinstance(part, Importance)]
    assert importance.weights.shape == (4, 128)

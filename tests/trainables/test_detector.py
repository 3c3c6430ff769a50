from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from tests.trainables.toy import toy_detector, toy_images
from trainables.detector import Detector, TwoLogits, as_input, evaluating, frozen


@pytest.fixture
def images() -> torch.Tensor:
    return as_input(toy_images(6, seed=0).pixels)


@pytest.mark.parametrize("classes", [2, 3])
def test_probability_is_the_softmax_mass_of_the_fake_classes(images: torch.Tensor, classes: int) -> None:
    detector = toy_detector(classes=classes).eval()
    expected = 1 - torch.softmax(detector(images), dim=1)[:, 0]
    assert torch.allclose(detector.probability(images), expected, atol=1e-6)
    assert torch.allclose(torch.sigmoid(detector.log_odds(images)), expected, atol=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_calibration_moves_the_log_odds(images: torch.Tensor, classes: int) -> None:
    detector = toy_detector(classes=classes).eval()
    before = detector.log_odds(images)
    detector.shift += 1.5
    assert torch.allclose(detector.log_odds(images), before + 1.5, atol=1e-5)
    detector.shift.zero_()
    detector.scale.fill_(2.0)
    assert torch.allclose(detector(images), 2 * detector.head(detector.features(images)))


def test_two_logits_say_what_the_detector_says(images: torch.Tensor) -> None:
    detector = toy_detector(classes=3).eval()
    two = torch.softmax(TwoLogits(detector)(images), dim=1)[:, 1]
    assert torch.allclose(two, detector.probability(images), atol=1e-6)


def test_pixels_become_floats_between_0_and_1() -> None:
    pixels = np.array([[[[0, 51, 255]]]], np.uint8)
    assert as_input(pixels).flatten().tolist() == pytest.approx([0, 0.2, 1])
    assert as_input(toy_images(2, seed=0).pixels).shape == (2, 3, 32, 32)


def test_named_layers_are_the_ones_that_run_also_in_a_copy() -> None:
    detector = copy.deepcopy(toy_detector()).eval()
    parts = set(detector.modules())
    assert all(layer in parts for layer in detector.layers.values())


def test_evaluating_gives_every_part_its_mode_back() -> None:
    detector = toy_detector().train()
    detector.layers["block1"].eval()
    with evaluating(detector):
        assert not any(part.training for part in detector.modules())
    assert detector.training
    assert not detector.layers["block1"].training


def test_frozen_lets_gradients_through_to_the_pixels_only(images: torch.Tensor) -> None:
    detector = toy_detector().eval()
    trainable = [p.requires_grad for p in detector.parameters()]
    images.requires_grad_()
    with frozen(detector):
        detector.log_odds(images).sum().backward()
    assert images.grad is not None
    assert images.grad.any()
    assert all(p.grad is None for p in detector.parameters())
    assert [p.requires_grad for p in detector.parameters()] == trainable


def test_weights_follow_the_seed_alone() -> None:
    def weights(detector: Detector) -> torch.Tensor:
        return torch.cat([p.flatten() for p in detector.parameters()])

    torch.manual_seed(1)
    first = weights(toy_detector(seed=3))
    torch.manual_seed(2)
    assert torch.equal(first, weights(toy_detector(seed=3)))
    assert not torch.equal(first, weights(toy_detector(seed=4)))

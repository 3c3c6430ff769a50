from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from tests.trainables.toy import toy_detector, toy_images
from trainables.detector import Detector, TwoLogits, as_input, evaluating, frozen, turned


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


def test_the_eight_views_are_the_dihedral_group() -> None:
    square = torch.arange(9.0).reshape(1, 1, 3, 3)
    views = [turned(square, view) for view in range(8)]
    assert torch.equal(views[0], square)
    assert torch.equal(views[1], square.flip(-1))
    assert len({tuple(view.flatten().tolist()) for view in views}) == 8
    # A group: what a view makes of a view is a view.
    found = {tuple(turned(view, other).flatten().tolist()) for view in views for other in range(8)}
    assert found == {tuple(view.flatten().tolist()) for view in views}


def test_a_detector_looks_at_the_image_alone_unless_told_otherwise(images: torch.Tensor) -> None:
    detector = toy_detector().eval()
    seen: list[torch.Tensor] = []
    detector.front.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    assert torch.equal(detector(images), detector.classify(detector.features(images)))
    assert len(seen) == 2
    detector.views = 8
    detector(images)
    assert [len(batch) for batch in seen[2:]] == [6] * 8


def test_views_are_part_of_the_state_and_1_in_states_of_before_there_were_any() -> None:
    detector, other = toy_detector(), toy_detector(seed=1)
    detector.views = 8
    assert copy.deepcopy(detector).views == 8
    other.load_state_dict(detector.state_dict())
    assert other.views == 8
    old = {name: value for name, value in detector.state_dict().items() if name != "_extra_state"}
    other.load_state_dict(old)
    assert other.views == 1
    whole = torch.nn.ModuleDict({"detector": detector})
    whole.load_state_dict({f"detector.{name}": value for name, value in old.items()})
    assert detector.views == 1


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

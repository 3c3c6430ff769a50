"""What every detector of the registry must do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.trainables.toy import context, toy_config, toy_detector, toy_images
from trainables.checkpoint import load_detector, save_detector
from trainables.context import LocalContext
from trainables.contract import Images
from trainables.detector import Detector, TwoLogits, as_input, fake_log_odds, frozen
from trainables.errors import InputError
from trainables.fit import fit
from trainables.objective import SUPERVISED
from trainables.recipe import Recipe
from trainables.registry import DETECTORS, find
from trainables.score import score

BUILT = sorted(kind for kind, entry in DETECTORS.items() if "outside" not in entry.traits)
pytestmark = pytest.mark.parametrize("kind", BUILT)


@pytest.fixture(scope="session")
def images() -> Images:
    return toy_images(16, seed=0)


def _weights(detector: Detector) -> torch.Tensor:
    return torch.cat([value.flatten().float() for value in detector.state_dict().values()])


def _solved(kind: str) -> bool:
    return "solved" in find("detectors", kind).traits


def _learn(kind: str, detector: Detector, images: Images, place: LocalContext) -> None:
    """As the train stage does, but with few epochs."""
    entry = find("detectors", kind)
    if "solved" in entry.traits:
        entry.load().solve(toy_config(kind), detector, images, images, place)
        return
    if "prepared" in entry.traits:
        entry.load().prepare(toy_config(kind), detector, images, place)
    fit(detector, SUPERVISED, Recipe(epochs=1, batch=8), images, images, place)


@pytest.mark.parametrize("classes", [2, 3])
def test_it_makes_logits_and_features_of_the_shapes_it_says(kind: str, classes: int, images: Images) -> None:
    detector = toy_detector(kind, classes=classes).eval()
    batch = as_input(images.pixels[:3])
    assert detector(batch).shape == (3, classes)
    assert detector.features(batch).shape == (3, detector.feature_dim)
    assert torch.allclose(detector.classify(detector.features(batch)), detector(batch))


@pytest.mark.parametrize("classes", [2, 3])
def test_a_few_steps_or_its_solution_lower_its_loss(kind: str, classes: int, images: Images, tmp_path: Path) -> None:
    detector = toy_detector(kind, classes=classes).train(not _solved(kind))
    batch, labels = as_input(images.pixels[:]), torch.from_numpy(images.labels)

    def loss() -> torch.Tensor:
        return functional.binary_cross_entropy_with_logits(detector.log_odds(batch), labels.float())

    first = loss().item()
    if _solved(kind):
        _learn(kind, detector, images, context(tmp_path))
    else:
        _step(detector, batch, labels, steps=4)
    assert loss().item() < first


def _step(detector: Detector, batch: torch.Tensor, labels: torch.Tensor, steps: int) -> None:
    optimiser = torch.optim.SGD([p for p in detector.parameters() if p.requires_grad], lr=0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        functional.cross_entropy(detector(batch), labels).backward()
        optimiser.step()


def test_it_fits_the_same_weights_from_the_same_seed(kind: str, images: Images, tmp_path: Path) -> None:
    def fitted(run: str, seed: int) -> torch.Tensor:
        detector = toy_detector(kind, seed=seed)
        _learn(kind, detector, images, context(tmp_path / run, seed))
        return _weights(detector)

    assert torch.equal(fitted("a", 0), fitted("b", 0))
    # What is solved may have nothing random about it.
    assert _solved(kind) or not torch.equal(fitted("a2", 0), fitted("c", 1))


def test_a_saved_one_scores_as_before(kind: str, images: Images, tmp_path: Path) -> None:
    detector = toy_detector(kind)
    _learn(kind, detector, images, context(tmp_path))
    detector.shift += 0.3
    config = toy_config(kind).model_dump(mode="json")
    save_detector(tmp_path, detector, {"kind": kind, "config": config, "image": {"size": 32}})
    loaded, _ = load_detector(tmp_path)
    assert np.array_equal(score(loaded, images.pixels), score(detector, images.pixels))


def test_its_named_layers_give_maps_from_shallow_to_deep(kind: str, images: Images) -> None:
    detector = toy_detector(kind).eval()
    shapes: dict[str, torch.Size] = {}
    for name, layer in detector.layers.items():
        layer.register_forward_hook(lambda _, __, output, name=name: shapes.update({name: output.shape}))
    detector(as_input(images.pixels[:2]))
    assert list(shapes) == list(detector.layers)
    assert all(len(shape) == 4 and shape[0] == 2 for shape in shapes.values())
    heights = [shape[2] for shape in shapes.values()]
    assert heights == sorted(heights, reverse=True)


def test_gradients_reach_every_pixel_channel_with_frozen_weights(kind: str, images: Images) -> None:
    detector = toy_detector(kind).eval()
    batch = as_input(images.pixels[:2]).requires_grad_()
    with frozen(detector):
        detector.log_odds(batch).sum().backward()
    assert batch.grad is not None
    assert batch.grad.abs().sum(dim=(2, 3)).min() > 0


@pytest.mark.parametrize("classes", [2, 3])
def test_one_logit_says_what_its_own_say(kind: str, classes: int, images: Images) -> None:
    detector = toy_detector(kind, classes=classes).eval()
    batch = as_input(images.pixels[:4])
    with torch.no_grad():
        odds, logits, two = detector.log_odds(batch), detector(batch), TwoLogits(detector)(batch)
    fake = 1 - torch.softmax(logits, dim=1)[:, 0]
    assert torch.allclose(torch.sigmoid(odds), fake, atol=1e-6)
    assert torch.allclose(torch.softmax(two, dim=1)[:, 1], fake, atol=1e-6)
    assert torch.allclose(fake_log_odds(torch.stack([torch.zeros_like(odds), odds], dim=1)), odds, atol=1e-5)


def test_no_part_works_in_place(kind: str) -> None:
    assert not any(getattr(part, "inplace", False) for part in toy_detector(kind).modules())


def test_an_image_scores_the_same_alone_and_among_others(kind: str, images: Images) -> None:
    detector = toy_detector(kind)
    together = score(detector, images.pixels)
    np.testing.assert_allclose(score(detector, images.pixels, batch=1), together, atol=5e-6)


def test_images_of_its_smallest_size_pass_and_smaller_ones_are_refused(kind: str) -> None:
    detector = toy_detector(kind).eval()
    size = detector.min_size
    detector(torch.rand(1, 3, size, size))
    detector(torch.rand(1, 3, size, size + 5))
    with pytest.raises(InputError, match=f"at least {size}x{size}"):
        detector(torch.rand(1, 3, size, size - 1))

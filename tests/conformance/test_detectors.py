"""What every detector of the registry must do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.trainables.toy import context, toy_detector, toy_images
from trainables.checkpoint import load_detector, save_detector
from trainables.contract import Images
from trainables.detector import Detector, as_input, frozen
from trainables.errors import InputError
from trainables.fit import fit
from trainables.objective import SUPERVISED
from trainables.recipe import Recipe
from trainables.registry import DETECTORS, find
from trainables.score import score

pytestmark = pytest.mark.parametrize("kind", sorted(DETECTORS))


@pytest.fixture(scope="session")
def images() -> Images:
    return toy_images(16, seed=0)


def _weights(detector: Detector) -> torch.Tensor:
    return torch.cat([value.flatten().float() for value in detector.state_dict().values()])


@pytest.mark.parametrize("classes", [2, 3])
def test_it_makes_logits_and_features_of_the_shapes_it_says(kind: str, classes: int, images: Images) -> None:
    detector = toy_detector(kind, classes=classes).eval()
    batch = as_input(images.pixels[:3])
    assert detector(batch).shape == (3, classes)
    assert detector.features(batch).shape == (3, detector.feature_dim)
    assert torch.allclose(detector.classify(detector.features(batch)), detector(batch))


@pytest.mark.parametrize("classes", [2, 3])
def test_a_few_steps_lower_its_loss(kind: str, classes: int, images: Images) -> None:
    detector = toy_detector(kind, classes=classes).train()
    batch, labels = as_input(images.pixels[:]), torch.from_numpy(images.labels)
    optimiser = torch.optim.SGD([p for p in detector.parameters() if p.requires_grad], lr=0.01)
    losses = []
    for _ in range(4):
        loss = functional.cross_entropy(detector(batch), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_it_fits_the_same_weights_from_the_same_seed(kind: str, images: Images, tmp_path: Path) -> None:
    def fitted(run: str, seed: int) -> torch.Tensor:
        detector = toy_detector(kind, seed=seed)
        fit(detector, SUPERVISED, Recipe(epochs=1, batch=8), images, images, context(tmp_path / run, seed))
        return _weights(detector)

    assert torch.equal(fitted("a", 0), fitted("b", 0))
    assert not torch.equal(fitted("a2", 0), fitted("c", 1))


def test_a_saved_one_scores_as_before(kind: str, images: Images, tmp_path: Path) -> None:
    detector = toy_detector(kind)
    detector.shift += 0.3
    config = find("detectors", kind).config().model_dump(mode="json")
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


def test_no_part_works_in_place(kind: str) -> None:
    assert not any(getattr(part, "inplace", False) for part in toy_detector(kind).modules())


def test_an_image_scores_the_same_alone_and_among_others(kind: str, images: Images) -> None:
    detector = toy_detector(kind)
    together = score(detector, images.pixels)
    np.testing.assert_allclose(score(detector, images.pixels, batch=1), together, atol=1e-6)


def test_images_of_its_smallest_size_pass_and_smaller_ones_are_refused(kind: str) -> None:
    detector = toy_detector(kind).eval()
    size = detector.min_size
    detector(torch.rand(1, 3, size, size))
    detector(torch.rand(1, 3, size, size + 5))
    with pytest.raises(InputError, match=f"at least {size}x{size}"):
        detector(torch.rand(1, 3, size, size - 1))

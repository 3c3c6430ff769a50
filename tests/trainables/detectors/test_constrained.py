from __future__ import annotations

import torch
from torch import nn

from tests.trainables.toy import context, toy_detector, toy_images
from trainables.fit import fit
from trainables.freezing import renew
from trainables.front_ends import PredictionError
from trainables.objective import SUPERVISED
from trainables.recipe import Recipe


def test_its_filters_keep_to_the_constraint_while_they_are_trained(tmp_path) -> None:
    detector, images = toy_detector("constrained", filters=3), toy_images(16, seed=0)
    errors, scaled = detector.front
    assert isinstance(errors, PredictionError)
    assert isinstance(scaled, nn.BatchNorm2d)
    before = errors.filters().detach().clone()
    fit(detector, SUPERVISED, Recipe(epochs=2, batch=8, learning_rate=0.01), images, images, context(tmp_path))
    after = errors.filters().detach()
    assert (after - before).abs().max() > 1e-4
    assert torch.allclose(after[..., 2, 2].sum(dim=1), -torch.ones(3), atol=1e-5)
    assert torch.allclose(after.sum(dim=(1, 2, 3)), torch.zeros(3), atol=1e-5)


def test_new_weights_are_drawn_for_them_as_for_the_others() -> None:
    detector = toy_detector("constrained")
    before = detector.front[0].weight.detach().clone()
    renew(detector, 3)
    assert not torch.equal(detector.front[0].weight, before)
    assert detector.front[0].weight.min() >= 0

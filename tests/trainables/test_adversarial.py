"""The game between a discriminator and the features."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trainables.adversarial import certainty, discriminator, features_by_class, schedule


def test_the_schedule_is_the_papers() -> None:
    progress = np.linspace(0, 1, 11)
    assert [schedule(p, 10) for p in progress] == pytest.approx(np.tanh(5 * progress))
    assert schedule(0, 10) == 0
    assert schedule(1, 10) == pytest.approx(1, abs=1e-4)


def test_certain_predictions_count_for_more_and_the_mean_stays_1() -> None:
    logits = torch.tensor([[0.0, 0.0], [4.0, -4.0], [1.0, 0.0]], requires_grad=True)
    weights = certainty(logits)
    assert weights.mean().item() == pytest.approx(1)
    assert weights[1] > weights[2] > weights[0]
    assert not weights.requires_grad


def test_by_class_the_predictions_get_no_gradient() -> None:
    features, logits = torch.randn(4, 3, requires_grad=True), torch.randn(4, 2, requires_grad=True)
    features_by_class(features, logits).sum().backward()
    assert features.grad is not None
    assert logits.grad is None


def test_a_discriminator_is_a_function_of_its_seed_and_name() -> None:
    first, same, other = (discriminator(3, 4, seed, "d") for seed in (0, 0, 1))
    assert torch.equal(first[0].weight, same[0].weight)
    assert not torch.equal(first[0].weight, other[0].weight)

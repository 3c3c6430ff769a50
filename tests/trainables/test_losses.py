from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from trainables.losses import coral, domain_adversarial, gradient_reversal


def _features(rows: int, seed: int, columns: int = 5) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, columns)))


def test_coral_is_the_papers_formula() -> None:
    source, target = _features(12, 0), 2 * _features(9, 1)
    distance = np.cov(source.numpy(), rowvar=False) - np.cov(target.numpy(), rowvar=False)
    expected = np.linalg.norm(distance, "fro") ** 2 / (4 * 5**2)
    assert coral(source, target).item() == pytest.approx(expected, rel=1e-12)


def test_coral_sees_neither_means_nor_the_order_of_images() -> None:
    source, target = _features(12, 0), _features(12, 1)
    value = coral(source, target)
    assert torch.allclose(coral(source + 3, target - 5), value)
    assert torch.allclose(coral(source.flip(0), target), value)
    assert torch.allclose(coral(target, source), value)
    assert coral(source, source.flip(0)).item() == pytest.approx(0, abs=1e-24)


def test_coral_has_the_gradient_of_its_value() -> None:
    source, target = _features(6, 0, 3).requires_grad_(), _features(7, 1, 3).requires_grad_()
    assert torch.autograd.gradcheck(coral, (source, target))


def test_gradient_reversal_is_the_identity_forward_and_minus_the_strength_backward() -> None:
    features = _features(4, 0).requires_grad_()
    passed = gradient_reversal(features, 0.3)
    assert torch.equal(passed, features)
    weights = _features(4, 1)
    (passed * weights).sum().backward()
    assert torch.allclose(features.grad, -0.3 * weights)


def test_domain_loss_is_the_cross_entropy_of_both_domains() -> None:
    discriminator = nn.Linear(5, 1).double()
    source, target = _features(6, 0), _features(3, 1)
    loss, accuracy = domain_adversarial(discriminator, source, target, 1.0)
    with torch.no_grad():
        of_source, of_target = (1 / (1 + np.exp(-discriminator(x).numpy()[:, 0])) for x in (source, target))
    assert loss.item() == pytest.approx(-(np.log(of_source).mean() + np.log(1 - of_target).mean()) / 2)
    assert accuracy.item() == pytest.approx(((of_source > 0.5).mean() + (of_target <= 0.5).mean()) / 2)


def test_domain_loss_teaches_the_discriminator_and_misleads_the_features() -> None:
    discriminator = nn.Linear(5, 1).double()
    source, target = _features(6, 0).requires_grad_(), _features(6, 1).requires_grad_()
    plain = _gradients(discriminator, source, target, lambda s, t: domain_adversarial(discriminator, s, t, 0.0)[0])
    strong = _gradients(discriminator, source, target, lambda s, t: domain_adversarial(discriminator, s, t, 2.0)[0])
    direct = _gradients(discriminator, source, target, lambda s, t: _unreversed(discriminator, s, t))
    assert torch.allclose(plain[0], direct[0])
    assert torch.allclose(strong[0], direct[0])
    assert not plain[1].any()
    assert torch.allclose(strong[1], -2 * direct[1])


def _unreversed(discriminator: nn.Module, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    bce = nn.functional.binary_cross_entropy_with_logits
    of_source, of_target = discriminator(source), discriminator(target)
    return (bce(of_source, torch.ones_like(of_source)) + bce(of_target, torch.zeros_like(of_target))) / 2


def _gradients(discriminator, source, target, loss) -> list[torch.Tensor]:  # type: ignore[no-untyped-def]
    return list(torch.autograd.grad(loss(source, target), [discriminator.weight, source]))

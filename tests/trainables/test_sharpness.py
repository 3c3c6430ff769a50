"""Steps whose gradients are taken uphill."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trainables.sharpness import uphill


def _net() -> tuple[nn.Linear, torch.Tensor]:
    torch.manual_seed(0)
    return nn.Linear(3, 2).double(), torch.randn(5, 3, dtype=torch.float64)


def test_within_it_stands_at_distance_rho_along_the_gradient() -> None:
    net, inputs = _net()

    def loss() -> torch.Tensor:
        return net(inputs).square().mean()

    start = [p.detach().clone() for p in net.parameters()]
    gradients = torch.autograd.grad(loss(), list(net.parameters()))
    norm = sum(g.square().sum() for g in gradients).sqrt()
    with uphill(net.parameters(), loss, 0.3):
        moves = [p.detach() - s for p, s in zip(net.parameters(), start, strict=True)]
    assert torch.stack([m.norm() for m in moves]).norm().item() == pytest.approx(0.3)
    for move, gradient in zip(moves, gradients, strict=True):
        assert torch.allclose(move, 0.3 * gradient / norm)
    assert all(torch.equal(p, s) for p, s in zip(net.parameters(), start, strict=True))


def test_rho_0_moves_nothing_and_gradients_in_place_are_kept() -> None:
    net, inputs = _net()
    net(inputs).sum().backward()
    held = [p.grad.clone() for p in net.parameters()]
    start = net.weight.detach().clone()
    with uphill(net.parameters(), lambda: net(inputs).square().mean(), 0.0):
        assert torch.equal(net.weight, start)
    assert all(torch.equal(p.grad, h) for p, h in zip(net.parameters(), held, strict=True))


def test_it_is_restored_also_where_the_step_fails() -> None:
    net, inputs = _net()
    start = net.weight.detach().clone()
    with pytest.raises(RuntimeError, match="broken"), uphill(net.parameters(), lambda: net(inputs).sum(), 1.0):
        raise RuntimeError("broken")
    assert torch.equal(net.weight, start)


def test_frozen_parameters_stay() -> None:
    net, inputs = _net()
    net.bias.requires_grad_(False)
    bias = net.bias.detach().clone()
    with uphill(net.parameters(), lambda: net(inputs).square().mean(), 1.0):
        assert torch.equal(net.bias, bias)

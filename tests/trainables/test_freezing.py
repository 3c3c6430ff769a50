"""What a training may change."""

from __future__ import annotations

import torch
from torch import nn

from tests.trainables.toy import toy_detector
from trainables.detector import Detector
from trainables.freezing import only, renew, train_mode


def _net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Conv2d(4, 2, 3))


def test_only_the_chosen_parameters_want_gradients_and_only_within() -> None:
    net = _net()
    net[0].bias.requires_grad_(False)
    with only(net, net[3].parameters()):
        assert [p.requires_grad for p in net.parameters()] == [False, False, False, False, True, True]
    assert [p.requires_grad for p in net.parameters()] == [True, False, True, True, True, True]
    with only(net, None):
        assert not net[0].bias.requires_grad


def test_statistics_of_frozen_parts_stand_still() -> None:
    net = _net()
    before = net[1].running_mean.clone()
    with only(net, net[3].parameters()):
        train_mode(net)
        assert (net[1].training, net[3].training) == (False, True)
        net(torch.randn(2, 3, 8, 8))
    assert torch.equal(net[1].running_mean, before)
    train_mode(net)
    assert net[1].training


def test_fresh_weights_depend_on_the_seed_alone(trained: Detector) -> None:
    other = toy_detector(seed=5)
    filters = trained.front[0].weight.clone()
    trained.shift += 2.0
    first = other.state_dict()
    assert not torch.equal(first["head.weight"], trained.head.weight)
    for detector in (trained, other):
        renew(detector, seed=3)
    for name, value in trained.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name
    assert torch.equal(filters, trained.front[0].weight)
    assert trained.shift == 0
    renew(other, seed=4)
    assert not torch.equal(other.head.weight, trained.head.weight)

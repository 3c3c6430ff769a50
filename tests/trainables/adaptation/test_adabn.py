from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainables.toy import context
from trainables.adaptation.adabn import Config, adapt
from trainables.contract import AdaptationData, Images
from trainables.detector import Detector, as_input
from trainables.errors import InputError
from trainables.score import log_odds


def _norms(detector: Detector) -> list[nn.BatchNorm2d]:
    return [part for part in detector.modules() if isinstance(part, nn.BatchNorm2d)]


def test_statistics_are_those_of_one_batch_of_the_whole_target(
    trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    reference = copy.deepcopy(trained).train()
    for norm in _norms(reference):
        norm.momentum = 1.0
    with torch.no_grad():
        reference.features(as_input(target.pixels[:]))
    adapt(Config(), trained, data, context(tmp_path))
    for adapted, expected in zip(_norms(trained), _norms(reference), strict=True):
        torch.testing.assert_close(adapted.running_mean, expected.running_mean, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(adapted.running_var, expected.running_var, rtol=1e-3, atol=1e-4)


def test_the_order_of_the_target_does_not_matter(
    trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    shuffled = copy.deepcopy(trained)
    mixed = target.take(np.random.default_rng(0).permutation(len(target))).without_labels()
    adapt(Config(), trained, data, context(tmp_path))
    other = AdaptationData(source_train=data.source_train, source_val=data.source_val, target=mixed)
    adapt(Config(), shuffled, other, context(tmp_path))
    for one, two in zip(_norms(trained), _norms(shuffled), strict=True):
        torch.testing.assert_close(one.running_mean, two.running_mean, rtol=0, atol=1e-6)
        torch.testing.assert_close(one.running_var, two.running_var, rtol=1e-5, atol=1e-6)


def test_the_source_can_be_mixed_in(trained: Detector, data: AdaptationData, tmp_path: Path) -> None:
    source, half, target = (copy.deepcopy(trained) for _ in range(3))
    adapt(Config(source_weight=1), source, data, context(tmp_path))
    adapt(Config(source_weight=0.5), half, data, context(tmp_path))
    adapt(Config(), target, data, context(tmp_path))
    first = [_norms(detector)[0].running_mean for detector in (trained, source, half, target)]
    assert torch.equal(first[0], first[1])
    assert not torch.allclose(first[0], first[3], atol=1e-4)
    torch.testing.assert_close(first[2], (first[0] + first[3]) / 2)


def test_only_statistics_change(trained: Detector, data: AdaptationData, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in trained.named_parameters()}
    outcome = adapt(Config(), trained, data, context(tmp_path))
    assert all(torch.equal(value, before[name]) for name, value in trained.named_parameters())
    assert outcome.metrics["mean_shift"] > 0
    assert outcome.metrics["predicted_prior"] == (log_odds(trained, data.target.pixels) > 0).mean()
    assert outcome.images == len(data.target) * (len(_norms(trained)) + 1)


def test_a_detector_without_batch_norm_is_refused(data: AdaptationData, tmp_path: Path) -> None:
    plain = Detector(
        front=nn.Identity(),
        body=nn.Flatten(),
        head=nn.Linear(3 * 32 * 32, 2),
        layers={},
        feature_dim=3 * 32 * 32,
        min_size=32,
        classes=2,
    )
    with pytest.raises(InputError, match="BatchNorm"):
        adapt(Config(), plain, data, context(tmp_path))

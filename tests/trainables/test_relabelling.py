"""RADA: which target images a discriminator takes for source images, and from when on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainables.adaptation.steps import ONE_STEP, few_images, step_of
from tests.trainables.toy import context, toy_detector
from trainables.adaptation import compose, rada
from trainables.adversarial import Adversary, features_alone
from trainables.contract import AdaptationData
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.losses import domain_adversarial
from trainables.objective import Step
from trainables.relabelling import Relabelling, domain_entropies


def _shares(logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    source = 1 / (1 + np.exp(-logits))
    return np.asarray(-(source * np.log2(source) + (1 - source) * np.log2(1 - source)))


def test_domain_entropy_is_1_where_the_discriminator_cannot_tell() -> None:
    logits = np.linspace(-6, 6, 13)
    assert domain_entropies(torch.from_numpy(logits)).numpy() == pytest.approx(_shares(logits))
    assert domain_entropies(torch.zeros(1)).item() == pytest.approx(1)
    assert domain_entropies(torch.tensor([1e4, -1e4])).tolist() == [0, 0]


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.8, 1.0])
def test_exactly_the_images_above_the_threshold_are_relabelled_and_mixed_with_the_source(
    threshold: float, trained: Detector, data: AdaptationData
) -> None:
    step = step_of(trained, data, progress=0.9)
    logits = np.append(np.linspace(-4, 4, 15), 0)  # an entropy of exactly 1 is not above 1
    discriminator = nn.Linear(1, 1, bias=False)
    nn.init.ones_(discriminator.weight)
    target = torch.from_numpy(logits).float()[:, None]
    source = torch.full((16, 1), 50.0)
    shown, relabelled = Relabelling(threshold, 5, 0.5).relabel(step, discriminator, source, target)
    assert relabelled.tolist() == (_shares(logits) > threshold).tolist()
    assert torch.equal(shown[~relabelled], target[~relabelled])
    assert ((shown > target) & (shown < source))[relabelled].all()
    assert step.figures["relabel_rate"].item() == pytest.approx((_shares(logits) > threshold).mean())


def test_nothing_is_relabelled_before_the_start(trained: Detector, data: AdaptationData) -> None:
    rule, ones = Relabelling(0.1, 5, 0.5), torch.zeros(16, 3)
    for progress, expected in ((0.0, 0.0), (0.49, 0.0), (0.5, 1.0)):
        step = step_of(trained, data, progress=progress)
        rule.relabel(step, nn.Linear(3, 1), ones, ones)
        assert step.figures["relabel_rate"].item() == expected


def test_it_begins_after_so_many_epochs_without_a_new_lowest_loss(trained: Detector, data: AdaptationData) -> None:
    """The discriminator's loss over the epochs: falls, stays, stays; from the third on it has not improved for two."""
    rule, rates = Relabelling(0.1, 2, 1.0), []
    shown = torch.zeros(16, 1)
    for epoch, bias in enumerate((-0.5, 0.0, 0.0, 0.0, 0.0)):
        discriminator = nn.Linear(1, 1)
        nn.init.constant_(discriminator.bias, bias)
        rule.next_epoch(trained, epoch)
        step = step_of(trained, data, progress=epoch / 5)
        rule.relabel(step, discriminator, shown, shown)
        rates.append(step.figures["relabel_rate"].item())
    assert rates == [0, 0, 0, 0, 1]


def test_the_wait_is_kept_with_an_interrupted_training(trained: Detector, data: AdaptationData) -> None:
    rule, shown = Relabelling(0.1, 1, 1.0), torch.zeros(16, 1)
    rule.relabel(step_of(trained, data), nn.Linear(1, 1), shown, shown)
    other = Relabelling(0.1, 1, 1.0)
    other.load_state_dict(rule.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(rule.buffers(), other.buffers(), strict=True))
    assert other.steps == 1


def test_the_discriminators_loss_is_cross_entropy_with_the_new_labels() -> None:
    torch.manual_seed(0)
    discriminator, source, target = nn.Linear(3, 1), torch.randn(5, 3), torch.randn(5, 3)
    relabelled = torch.tensor([True, False, True, False, False])
    loss, accuracy = domain_adversarial(discriminator, source, target, 1.0, relabelled=relabelled)
    labels = torch.cat([torch.ones(5), relabelled.float()])
    logits = discriminator(torch.cat([source, target])).flatten()
    torch.testing.assert_close(loss, nn.functional.binary_cross_entropy_with_logits(logits, labels))
    by_domain = (logits > 0).float() == torch.cat([torch.ones(5), torch.zeros(5)])
    assert accuracy.item() == pytest.approx(by_domain.float().mean().item())


def test_the_accuracy_told_is_on_unmixed_images_by_their_true_domain(trained: Detector, data: AdaptationData) -> None:
    def all_of_it(step: Step, module: nn.Module, source: torch.Tensor, target: torch.Tensor) -> Any:
        del step, module, target
        return source, torch.ones(len(source), dtype=torch.bool)

    step = step_of(trained, data)
    step = replace(step, features=torch.ones(16, 3), target_features=-torch.ones(16, 3))
    discriminator = nn.Linear(3, 1)
    nn.init.ones_(discriminator.weight)
    Adversary(module=discriminator, view=features_alone, weight=1.0, gamma=10.0).term(step, all_of_it)
    assert step.figures["discriminator_accuracy"] == 1


def test_all_of_the_target_may_be_relabelled() -> None:
    discriminator, shown = nn.Linear(3, 1), torch.randn(5, 3)
    loss, _ = domain_adversarial(discriminator, shown, shown, 1.0, relabelled=torch.ones(5, dtype=torch.bool))
    assert torch.isfinite(loss)


def _composed(start: float) -> compose.Config:
    parts = {"base": "dann", "with": [{"kind": "rada", "threshold": 0, "start": start}]}
    return compose.Config.model_validate({**parts, "recipe": ONE_STEP.model_copy(update={"epochs": 4})})


def test_class_labels_are_never_touched(data: AdaptationData, tmp_path: Path) -> None:
    """With weight 0 for the features, whether the discriminator's labels are changed cannot be seen in the detector."""
    weights = []
    for start in (0.0, 1.0):
        detector = toy_detector(width=4)
        config = _composed(start)
        base = config.base.model_copy(update={"config": config.base.config.model_copy(update={"weight": 1e-30})})
        config = config.model_copy(update={"base": base})
        outcome = compose.adapt(config, detector, few_images(data), context(tmp_path / str(start)))
        assert outcome.curves[-1]["relabel_rate"] == 1 - start
        weights.append([p.detach().clone() for p in detector.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*weights, strict=True))


def test_the_relabel_rate_is_a_curve(trained: Detector, data: AdaptationData, tmp_path: Path) -> None:
    outcome = compose.adapt(_composed(0.5), trained, few_images(data), context(tmp_path))
    assert [row["relabel_rate"] for row in outcome.curves] == [0, 0, 1, 1]
    assert 0 <= outcome.metrics["relabel_rate"] <= 1


def test_by_itself_it_is_refused(trained: Detector, data: AdaptationData, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"compose, base: dann, with: \[rada\]"):
        rada.adapt(rada.Config(), trained, data, context(tmp_path))

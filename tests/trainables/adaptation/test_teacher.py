"""Methods that teach by views: mean teacher and FixMatch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.toy import QUICK, context
from trainables.adaptation import fixmatch, mean_teacher
from trainables.contract import AdaptationData, Images
from trainables.detector import Detector, as_input
from trainables.fit import fit
from trainables.objective import SUPERVISED, Step
from trainables.views import Views

AS_IT_IS = Views(flips=False, shift=0, patches=1)


def _step(detector: Detector, target: Images, progress: float = 0.0) -> Step:
    images = as_input(target.pixels[:])
    features = detector.features(images)
    logits = detector.classify(features)
    parts = {"images": images, "features": features, "logits": logits}
    return Step(
        detector=detector,
        labels=torch.zeros(len(target), dtype=torch.long),
        target_index=torch.arange(len(target)),
        progress=progress,
        **parts,
        **{f"target_{name}": value for name, value in parts.items()},
    )


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_the_teacher_is_the_exact_moving_average_of_the_student(
    decay: float, trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    objective = mean_teacher.objective(mean_teacher.Config(decay=decay), trained, data, context(tmp_path))
    assert objective is not None
    expected = [parameter.detach().double().clone() for parameter in trained.parameters()]
    steps = []

    def by_hand(student: Detector, _: torch.optim.Optimizer) -> None:
        steps.append(1)
        for average, latest in zip(expected, student.parameters(), strict=True):
            average.copy_(decay * average + (1 - decay) * latest.detach().double())

    watched = SUPERVISED.joined(replace(objective, after_step=(*objective.after_step, by_hand)))
    fit(trained, watched, QUICK, data.source_train, data.source_val, context(tmp_path), target=data.target)
    teacher: Any = objective.modules["teacher"]
    assert len(steps) == 16
    for found, average in zip(teacher.parameters(), expected, strict=True):
        torch.testing.assert_close(found.double(), average, rtol=1e-5, atol=1e-7)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert not teacher.training
    student = dict(trained.named_parameters())
    assert decay == 0 or any(not torch.equal(p, student[name]) for name, p in teacher.named_parameters())


def test_consistency_is_the_weighted_squared_difference_to_the_teacher(
    copies: Callable[[], Detector], data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    teacher, student = copies().eval(), copies().eval()
    config = mean_teacher.Config(weight=3.0, ramp=0.5, views=AS_IT_IS)
    objective = mean_teacher.objective(config, student, data, context(tmp_path))
    assert objective is not None
    with torch.no_grad():
        student.head.bias += torch.tensor([1.0, -1.0])
        taught, said = (detector(as_input(target.pixels[:])).softmax(dim=1) for detector in (teacher, student))
        difference = ((said - taught) ** 2).sum() / said.numel()
    for progress, strength in ((0.0, math.exp(-5)), (0.25, math.exp(-5 / 4)), (0.5, 1.0), (0.9, 1.0)):
        objective.modules["teacher"].eval()
        term = objective.terms["consistency"](_step(student, target, progress))
        assert term.item() == pytest.approx(3 * strength * difference.item(), rel=1e-4)
    term.backward()
    assert all(parameter.grad is None for parameter in objective.modules["teacher"].parameters())


@pytest.mark.parametrize("threshold", [0.0, 0.9])
def test_fixmatch_is_cross_entropy_to_sure_labels_over_all_images(
    threshold: float, trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    trained.eval()
    config = fixmatch.Config(weight=2.0, threshold=threshold, views=AS_IT_IS)
    objective = fixmatch.objective(config, trained, data, context(tmp_path))
    assert objective is not None
    step = _step(trained, target)
    probs = step.target_logits.detach().softmax(dim=1)
    losses = [-math.log(row.max().item()) for row in probs if row.max() >= threshold]
    assert threshold == 0 or 0 < len(losses) < len(target)
    assert objective.terms["fixmatch"](step).item() == pytest.approx(2 * sum(losses) / len(target), rel=1e-4)
    assert step.figures["pseudo_share"].item() == pytest.approx(len(losses) / len(target))
    sure = probs[probs.max(dim=1).values >= threshold]
    assert step.figures["pseudo_fake"].item() == pytest.approx((sure[:, 1] > 0.5).float().mean().item())


def test_an_image_of_exactly_the_threshold_counts(
    trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    objective = fixmatch.objective(fixmatch.Config(threshold=0.5), trained, data, context(tmp_path))
    assert objective is not None
    step = replace(_step(trained, target), target_logits=torch.zeros(len(target), 2))
    objective.terms["fixmatch"](step)
    assert step.figures["pseudo_share"] == 1


def test_strong_views_teach_without_moving_the_statistics(
    trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    objective = fixmatch.objective(fixmatch.Config(threshold=0.0), trained, data, context(tmp_path))
    assert objective is not None
    step = _step(trained.train(), target)
    step = replace(step, target_logits=step.target_logits.detach())
    before = {name: buffer.clone() for name, buffer in trained.named_buffers()}
    objective.terms["fixmatch"](step).backward()
    assert all(torch.equal(buffer, before[name]) for name, buffer in trained.named_buffers())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in trained.head.parameters())


@pytest.mark.parametrize("member", [mean_teacher, fixmatch])
def test_weight_0_is_the_source_detector_and_the_prior_is_told(
    member: Any, copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    before, adapted = copies(), copies()
    outcome = member.adapt(member.Config(weight=0, recipe=QUICK), adapted, data, context(tmp_path))
    assert all(torch.equal(value, before.state_dict()[name]) for name, value in adapted.state_dict().items())
    assert set(outcome.metrics) == {"predicted_prior"}

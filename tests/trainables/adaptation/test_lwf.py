"""Learning without forgetting: the detector of before as a teacher on the new generator's images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainables.adaptation.sequences import contrary, same, third_step
from tests.trainables.adaptation.steps import step_of
from tests.trainables.toy import QUICK, context
from trainables.adaptation import lwf
from trainables.continual import learn
from trainables.contract import AdaptationData
from trainables.detector import Detector, as_input
from trainables.recipe import Recipe

STRONG = Recipe(epochs=4, batch=16, learning_rate=5e-3)


def test_the_term_is_the_distance_to_what_the_detector_said_before(
    copies: Callable[[], Detector], data: AdaptationData
) -> None:
    before, now = copies().eval(), copies()
    objective = lwf.objective(lwf.Config(weight=3.0, temperature=2.0), now)
    assert list(objective.terms) == ["classification", "distillation"]
    with torch.no_grad():
        now.head.bias += torch.tensor([1.0, -2.0])
    objective.modules["before"].eval()
    step = step_of(now, data)
    with torch.no_grad():
        said, then = (logits.numpy() / 2 for logits in (step.logits, before(step.images)))
    p, q = (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True) for z in (then, said))
    expected = 3 * 4 * (p * np.log(p / q)).sum(axis=1).mean()
    assert objective.terms["distillation"](step).item() == pytest.approx(expected, rel=1e-4)


def test_the_teacher_is_frozen_in_evaluation_mode_and_gets_no_gradient(
    trained: Detector, copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    step = third_step(data)
    objective = lwf.objective(lwf.Config(), trained)
    teacher = objective.modules["before"]
    assert isinstance(teacher, Detector)
    modes: list[bool] = []
    teacher.register_forward_hook(lambda module, *_: modes.append(any(part.training for part in module.modules())))
    learn(lwf.Config(recipe=QUICK), trained, step, context(tmp_path), objective=objective)
    assert same(teacher, copies())
    assert not same(teacher, trained)
    assert len(modes) == 4
    assert not any(modes)
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in teacher.parameters())


def test_the_more_it_counts_the_nearer_the_answers_stay(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    step = contrary(data)
    assert step.oracle_train is not None
    images = as_input(step.oracle_train.pixels[:])
    distances = []
    for weight in (0.0, 1.0, 100.0):
        detector = copies()
        lwf.adapt(lwf.Config(weight=weight, recipe=STRONG), detector, step, context(tmp_path / str(weight)))
        with torch.no_grad():
            now, before = (model.eval().probability(images) for model in (detector, copies()))
        distances.append(float((now - before).abs().mean()))
    assert distances[0] > distances[1] > distances[2]


def test_the_curves_tell_how_far_the_answers_are(trained: Detector, data: AdaptationData, tmp_path: Path) -> None:
    outcome = lwf.adapt(lwf.Config(recipe=QUICK), trained, third_step(data), context(tmp_path))
    for row in outcome.curves:
        assert row["loss"] == pytest.approx(row["classification"] + row["distillation"])
        assert row["distillation"] >= 0

"""SDAT: the step is taken with gradients found uphill of the task, and of the task alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.trainables.adaptation.steps import ONE_STEP, STILL, few_images, fit_one, state
from tests.trainables.toy import context
from trainables.adaptation import coral, dann, sdat
from trainables.batches import Order
from trainables.contract import AdaptationData
from trainables.detector import Detector, as_input
from trainables.objective import Objective, Step

RHO = 0.25
METHODS = {"alone": (), "with dann": (dann,), "with coral": (coral,)}


def _flat(detector: Detector) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in detector.parameters() if p.requires_grad])


def _fit(
    detector: Detector, data: AdaptationData, folder: Path, methods: tuple[object, ...], rho: float = RHO
) -> torch.Tensor:
    """Where the parameters stood when the terms were computed, relative to where they began."""
    start, seen = _flat(detector), []

    def look(step: Step) -> torch.Tensor:
        seen.append(_flat(step.detector) - start)
        return torch.zeros(())

    ctx = context(folder)
    objectives = [sdat.objective(sdat.Config(rho=rho), detector, data, ctx), Objective(terms={"look": look})]
    objectives += [member.objective(member.Config(), detector, data, ctx) for member in methods]
    fit_one(detector, objectives, few_images(data), folder, STILL)
    assert len(seen) == 1
    return seen[0]


def _task_gradient(detector: Detector, data: AdaptationData) -> torch.Tensor:
    """Of the cross-entropy on the first step's source images, the target's beside them for BatchNorm."""
    small = few_images(data)
    order = Order(seed=0, count=16, batch=16, target=len(data.target), flips=True)
    of_source, of_target = next(order.epoch(0))
    assert of_target is not None
    pixels = np.concatenate([of_source.of(small.source_train.pixels), of_target.of(data.target.pixels)])
    logits = detector.train()(as_input(pixels))[:16]
    loss = functional.cross_entropy(logits, torch.from_numpy(small.source_train.labels[of_source.index]))
    trained = [p for p in detector.parameters() if p.requires_grad]
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, trained)])


@pytest.mark.parametrize("methods", METHODS.values(), ids=METHODS)
def test_gradients_are_taken_at_distance_rho_along_the_gradient_of_the_task_alone(
    methods: tuple[object, ...], copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    gradient = _task_gradient(copies(), data)
    moved = _fit(copies(), data, tmp_path, methods)
    assert moved.norm().item() == pytest.approx(RHO, rel=1e-4)
    torch.testing.assert_close(moved, RHO * gradient / gradient.norm(), rtol=1e-3, atol=1e-5)


def test_the_ascent_in_a_composition_is_that_of_the_task_alone_to_the_last_bit(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    alone, with_dann = (_fit(copies(), data, tmp_path / str(len(m)), m) for m in ((), (dann,)))
    assert torch.equal(alone, with_dann)


def test_the_weights_are_restored_to_the_last_bit(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    detector = copies()
    before = _flat(detector)
    assert _fit(detector, data, tmp_path, (dann,)).any()
    assert torch.equal(_flat(detector), before)


def test_batchnorms_statistics_move_once_a_step_as_in_a_plain_one(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    sharp, plain = copies(), copies()
    _fit(sharp, data, tmp_path / "sharp", ())
    fit_one(plain, [], few_images(data), tmp_path / "plain", STILL)
    assert torch.equal(state(sharp), state(plain))
    assert all(part.track_running_stats for part in sharp.modules() if hasattr(part, "track_running_stats"))


def test_rho_0_is_the_plain_step(copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path) -> None:
    results = {}
    for rho in (0.0, None, RHO):
        detector, ctx = copies(), context(tmp_path / str(rho))
        sharp = None if rho is None else sdat.objective(sdat.Config(rho=rho), detector, data, ctx)
        adversary = dann.objective(dann.Config(), detector, data, ctx)
        fit_one(detector, [adversary, sharp], few_images(data), ctx.folder, ONE_STEP)
        results[rho] = state(detector)
    assert torch.equal(results[0.0], results[None])
    assert not torch.equal(results[RHO], results[None])


def test_alone_it_trains_on_with_sharpness(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    sharp, plain = copies(), copies()
    outcome = sdat.adapt(sdat.Config(rho=RHO, recipe=ONE_STEP), sharp, few_images(data), context(tmp_path / "sharp"))
    fit_one(plain, [], few_images(data), tmp_path / "plain", ONE_STEP)
    assert outcome.curves
    assert not torch.equal(state(sharp), state(plain))

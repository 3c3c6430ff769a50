"""Source-free training of normalisation layers: tent and sar."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.trainables.adaptation.steps import step_of
from tests.trainables.toy import context, toy_images
from trainables.adaptation import adabn, sar, tent
from trainables.context import LocalContext
from trainables.contract import AdaptationData, Images
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.losses import entropies
from trainables.recipe import Recipe
from trainables.recovery import Recovery
from trainables.score import log_odds


def _recipe(rate: float = 1e-2, **more: Any) -> Recipe:
    return tent.Config().recipe.model_copy(update={"batch": 16, "learning_rate": rate, **more})


def _changed(one: Detector, two: Detector) -> set[str]:
    states = one.state_dict(), two.state_dict()
    return {name for name in states[0] if not torch.equal(states[0][name], states[1][name])}


def _of_norms(detector: Detector) -> set[str]:
    norms = [name for name, part in detector.named_modules() if isinstance(part, nn.BatchNorm2d)]
    return {f"{norm}.{name}" for norm in norms for name in ("weight", "bias")}


def _statistics(detector: Detector) -> set[str]:
    return {name for name in detector.state_dict() if name.endswith(("running_mean", "running_var", "batches_tracked"))}


@pytest.mark.parametrize("member", [tent, sar])
def test_only_scales_shifts_and_statistics_change(
    member: Any, copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    before, after = copies(), copies()
    member.adapt(member.Config(recipe=_recipe()), after, data, context(tmp_path))
    changed = _changed(before, after)
    assert changed & _of_norms(before)
    assert changed <= _of_norms(before) | _statistics(before)


@pytest.mark.parametrize("member", [tent, sar])
def test_without_a_step_worth_the_name_it_is_adabn(
    member: Any, copies: Callable[[], Detector], data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    still, statistics = copies(), copies()
    member.adapt(member.Config(recipe=_recipe(rate=1e-30)), still, data, context(tmp_path / "still"))
    adabn.adapt(adabn.Config(), statistics, data, context(tmp_path / "adabn"))
    np.testing.assert_allclose(log_odds(still, target.pixels), log_odds(statistics, target.pixels), atol=1e-5)


def test_tent_lowers_the_entropy_beyond_adabn(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    def entropy(rate: float) -> float:
        config = tent.Config(recipe=_recipe(rate, epochs=3))
        return tent.adapt(config, copies(), data, context(tmp_path / str(rate))).metrics["entropy"]

    assert entropy(1e-2) < 0.8 * entropy(1e-30)


def test_collapse_is_told_and_diversity_holds_against_it(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    faint = toy_images(64, seed=3, period=4, amplitude=3).without_labels()

    def figures(diversity: float) -> Mapping[str, float]:
        detector = copies()
        detector.shift += 5  # calls everything fake
        config = tent.Config(diversity=diversity, recipe=_recipe(3e-2, epochs=8))
        return tent.adapt(config, detector, replace(data, target=faint), context(tmp_path / str(diversity))).metrics

    alone, diverse = figures(0), figures(1)
    assert alone["predicted_prior_before"] == alone["predicted_prior"] == alone["collapsed"] == 1
    assert diverse["collapsed"] == 0
    assert diverse["predicted_prior"] == pytest.approx(0.5, abs=0.1)


def test_sar_learns_nothing_where_no_image_is_reliable(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    before, after = copies(), copies()
    outcome = sar.adapt(sar.Config(margin=1e-9, recipe=_recipe()), after, data, context(tmp_path))
    assert not _changed(before, after) & _of_norms(before)
    assert outcome.curves[0]["reliable"] == 0


def test_sar_goes_back_to_the_start_below_the_floor(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    before, after = copies(), copies()
    outcome = sar.adapt(sar.Config(floor=0.999, recipe=_recipe()), after, data, context(tmp_path))
    assert not _changed(before, after) & _of_norms(before)
    assert outcome.metrics["returns"] == len(data.target) // 16


def test_recovery_follows_the_moving_average(trained: Detector, tmp_path: Path) -> None:
    parameter = nn.Parameter(torch.zeros(2))
    recovery = Recovery([parameter], 0.5, context(tmp_path))
    average = float("nan")
    for loss in [float("nan"), 1.0, 0.9, float("nan"), *[0.0] * 20]:
        parameter.data.fill_(1)
        recovery.see(torch.tensor(loss))
        recovery.after_step(trained, torch.optim.SGD([parameter]))
        if math.isfinite(loss):
            average = 0.9 * average + 0.1 * loss if math.isfinite(average) else loss
        if average < 0.5:
            assert torch.equal(parameter, torch.zeros(2))
            break
        assert torch.equal(parameter, torch.ones(2))
        assert float(recovery.average) == pytest.approx(average, rel=1e-5, nan_ok=True)
    assert float(recovery.returns) == 1
    assert recovery.average.isnan()
    assert not list(recovery.parameters())


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_going_back_the_optimiser_starts_anew_too(optimiser: str, trained: Detector, tmp_path: Path) -> None:
    def made(parameter: nn.Parameter) -> torch.optim.Optimizer:
        if optimiser == "sgd":
            return torch.optim.SGD([parameter], lr=0.1, momentum=0.9, nesterov=True)
        return torch.optim.AdamW([parameter], lr=0.1)

    def step(parameter: nn.Parameter, steps: torch.optim.Optimizer, slope: float) -> None:
        parameter.grad = torch.full_like(parameter, slope)
        steps.step()

    parameter, fresh = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    recovery, steps = Recovery([parameter], 0.5, context(tmp_path)), made(parameter)
    for loss in (1.0, 1.0):
        step(parameter, steps, 3.0)
        recovery.see(torch.tensor(loss))
        recovery.after_step(trained, steps)
    assert parameter.any()
    recovery.average.fill_(0.0)
    recovery.after_step(trained, steps)
    assert not parameter.any()
    step(parameter, steps, -1.0)
    step(fresh, made(fresh), -1.0)
    assert torch.equal(parameter, fresh)


@dataclass(kw_only=True)
class WithOthers(LocalContext):
    """The others have seen these losses."""

    world_size: int = 3
    others: tuple[float, ...] = ()

    def gather(self, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.concatenate([values, np.array(self.others, values.dtype)])


@pytest.mark.parametrize(
    ("others", "expected"), [((0.4, 0.6), 0.5), ((math.nan, 0.6), 0.7), ((math.nan, math.nan), 0.8)]
)
def test_a_worker_without_a_reliable_image_does_not_hide_the_others(
    others: tuple[float, ...], expected: float, trained: Detector, tmp_path: Path
) -> None:
    parameter = nn.Parameter(torch.zeros(2))
    recovery = Recovery([parameter], 0.1, WithOthers(folder=tmp_path, others=others))
    recovery.see(torch.tensor(0.8 if math.isnan(others[0]) else 0.5))
    recovery.after_step(trained, torch.optim.SGD([parameter]))
    assert float(recovery.average) == pytest.approx(expected)


def test_where_no_worker_has_a_reliable_image_nothing_is_learnt(trained: Detector, tmp_path: Path) -> None:
    parameter = nn.Parameter(torch.zeros(2))
    recovery = Recovery([parameter], 0.1, WithOthers(folder=tmp_path, others=(math.nan, math.nan)))
    recovery.after_step(trained, torch.optim.SGD([parameter]))
    assert recovery.average.isnan()


def test_sar_uses_images_that_are_reliable_before_and_after_the_ascent(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    recovery = Recovery(list(trained.head.parameters()), 0.0, context(tmp_path))
    term = sar._objective(sar.Config(), recovery, 2).terms["entropy"]
    sure, unsure = [0.0, 9.0], [0.0, 0.1]
    step = step_of(trained, data, count=4)
    first = replace(step, logits=torch.tensor([sure, sure, unsure, unsure]), first_pass=True, figures={})
    second = replace(step, logits=torch.tensor([sure, unsure, sure, unsure]), figures={})
    each = entropies(torch.softmax(second.logits, dim=1))
    for _ in range(2):
        assert term(first).item() == pytest.approx(each[0].item())
        assert "reliable" not in first.figures
        assert term(second).item() == pytest.approx(each[0].item())
        assert second.figures["reliable"] == 0.25
    assert term(second) == each[[0, 2]].mean()  # without sharpness there is no first pass


def test_sars_learning_rate_is_the_authors() -> None:
    assert sar.Config().recipe.learning_rate == 2.5e-4


@pytest.mark.parametrize(("member", "missing"), [(tent, "BatchNorm"), (sar, "normalisation")])
def test_a_detector_without_such_layers_is_refused(
    member: Any, missing: str, data: AdaptationData, tmp_path: Path
) -> None:
    plain = _flat(nn.Flatten())
    with pytest.raises(InputError, match=missing):
        member.adapt(member.Config(), plain, data, context(tmp_path))


def test_sar_works_on_other_normalisation_than_batchnorm(data: AdaptationData, tmp_path: Path) -> None:
    norm = nn.LayerNorm(3 * 32 * 32)
    sar.adapt(sar.Config(margin=1, recipe=_recipe()), _flat(nn.Sequential(nn.Flatten(), norm)), data, context(tmp_path))
    assert not torch.equal(norm.weight, torch.ones_like(norm.weight))


@pytest.mark.parametrize("member", [tent, sar])
@pytest.mark.parametrize("count", [1, 3])
def test_a_tiny_target_works_or_is_refused(
    member: Any, count: int, trained: Detector, data: AdaptationData, target: Images, tmp_path: Path
) -> None:
    tiny = replace(data, target=target.take(np.arange(count)).without_labels())
    if count < 2:
        with pytest.raises(InputError, match="too few"):
            member.adapt(member.Config(), trained, tiny, context(tmp_path))
        return
    outcome = member.adapt(member.Config(), trained, tiny, context(tmp_path))
    assert np.isfinite(log_odds(trained, target.pixels)).all()
    assert all(np.isfinite(value) for value in outcome.metrics.values())


def _flat(body: nn.Module) -> Detector:
    size = 3 * 32 * 32
    head = nn.Linear(size, 2)
    return Detector(front=nn.Identity(), body=body, head=head, layers={}, feature_dim=size, min_size=32, classes=2)

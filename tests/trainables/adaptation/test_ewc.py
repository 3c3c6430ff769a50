"""Elastic weight consolidation: the Fisher information, the penalty, and what it holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from tests.trainables.adaptation.sequences import contrary, same, third_step
from tests.trainables.toy import QUICK, context, toy_images
from trainables.adaptation import ewc
from trainables.continual import reservoir
from trainables.contract import AdaptationData, Images
from trainables.detector import Detector, as_input
from trainables.elastic import Elastic, fisher

IMAGES = toy_images(12, seed=8)


def _names(detector: Detector) -> list[str]:
    return [name for name, parameter in detector.named_parameters() if parameter.requires_grad]


def _fisher_at_once(detector: Detector, images: Images) -> dict[str, Tensor]:
    """The definition, by the gradients of all images in one call."""
    detector.eval()
    parameters = {name: p.detach() for name, p in detector.named_parameters() if p.requires_grad}
    rest = {name: p for name, p in detector.named_parameters() if name not in parameters} | dict(
        detector.named_buffers()
    )

    def log_likelihood(chosen: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        logits: Tensor = functional_call(detector, {**chosen, **rest}, (image[None],))
        return logits.log_softmax(dim=1)[0].gather(0, label[None])[0]

    slopes = vmap(grad(log_likelihood), in_dims=(None, 0, 0))(
        parameters, as_input(images.pixels[:]), torch.from_numpy(images.labels)
    )
    return {name: slope.square().mean(dim=0) for name, slope in slopes.items()}


def test_the_fisher_information_is_the_mean_square_of_each_images_gradient(trained: Detector) -> None:
    # At a confident detector almost nothing matters: what it says is made unsure.
    with torch.no_grad():
        trained.scale.fill_(0.2)
    found = fisher(trained, IMAGES, "cpu")
    known = _fisher_at_once(trained, IMAGES)
    assert _names(trained) == list(known)
    for name, values in zip(known, found, strict=True):
        assert values.max() > 0
        torch.testing.assert_close(values, known[name], rtol=1e-3, atol=1e-7)


def test_the_fisher_information_of_the_head_is_known_in_closed_form(trained: Detector) -> None:
    """Of logits W f + b the gradients are (p - y) f^T and p - y."""
    of_parameter = dict(zip(_names(trained), fisher(trained, IMAGES, "cpu"), strict=True))
    trained.eval()
    with torch.no_grad():
        features = trained.features(as_input(IMAGES.pixels[:])).double()
        p = trained.classify(features.float()).double().softmax(dim=1)
    surprise = p - nn.functional.one_hot(torch.from_numpy(IMAGES.labels), 2)
    weight = (surprise.square().T @ features.square()) / len(IMAGES)
    found = of_parameter["head.weight"].double(), of_parameter["head.bias"].double()
    torch.testing.assert_close(found, (weight, surprise.square().mean(dim=0)), rtol=1e-3, atol=1e-9)


def test_estimating_it_leaves_the_detector_as_it_is(trained: Detector, copies: Callable[[], Detector]) -> None:
    trained.train()
    fisher(trained, IMAGES, "cpu")
    assert same(trained, copies())
    assert trained.training
    assert all(parameter.grad is None for parameter in trained.parameters())


def test_parameters_that_the_answer_does_not_depend_on_matter_nothing(trained: Detector) -> None:
    trained.register_parameter("idle", nn.Parameter(torch.ones(3)))
    named = dict(zip(_names(trained), fisher(trained, IMAGES, "cpu"), strict=True))
    assert torch.equal(named["idle"], torch.zeros(3))


def test_the_penalty_is_the_weighted_square_by_importance() -> None:
    parameters = [nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.tensor([[3.0]]))]
    penalty = Elastic(parameters, 10.0, [torch.tensor([0.5, 0.0]), torch.tensor([[2.0]])])
    assert penalty().item() == 0
    with torch.no_grad():
        parameters[0] += torch.tensor([2.0, 100.0])
        parameters[1] -= 1.0
    assert penalty().item() == pytest.approx(10 / 2 * (0.5 * 4 + 0 + 2 * 1))
    assert penalty.distance() == pytest.approx((4 + 10000 + 1) ** 0.5)
    penalty().backward()
    slopes = [parameter.grad for parameter in parameters]
    torch.testing.assert_close(slopes, [torch.tensor([10.0, 0.0]), torch.tensor([[-20.0]])])
    assert not list(penalty.parameters())


def test_it_is_anchored_at_the_step_before_and_weighs_all_generators_before(
    trained: Detector, copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    step = third_step(data)
    penalty = ewc.elastic(ewc.Config(images=20), trained, step, context(tmp_path, 4))
    kept = reservoir(step.earlier, 20, 4)
    assert {name.split("-")[1] for name, label in zip(kept.ids, kept.labels, strict=True) if label} == {"2", "8"}
    with torch.no_grad():
        trained.head.weight += 0.5
    by_hand = copies()
    importances = _fisher_at_once(by_hand, kept)
    expected = 1000 / 2 * 0.25 * importances["head.weight"].sum()
    assert penalty().item() == pytest.approx(expected.item(), rel=1e-3)


def test_the_more_it_counts_the_less_what_matters_moves(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    step = contrary(data)
    held = []
    for weight in (1e-6, 1e3, 1e6):
        detector = copies()
        config = ewc.Config(weight=weight, images=20, recipe=QUICK)
        measure = ewc.elastic(config.model_copy(update={"weight": 2.0}), detector, step, context(tmp_path / "measure"))
        outcome = ewc.adapt(config, detector, step, context(tmp_path / str(weight)))
        held.append(measure().item())
        assert outcome.metrics["moved"] == pytest.approx(measure.distance())
        assert all(row["elastic"] >= 0 for row in outcome.curves)
    assert held[0] > held[1] > held[2]


def test_running_statistics_are_not_held(copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path) -> None:
    before, after = copies(), copies()
    ewc.adapt(ewc.Config(weight=1e9, images=8, recipe=QUICK), after, third_step(data), context(tmp_path))
    buffers = [(one, two) for (_, one), (_, two) in zip(before.named_buffers(), after.named_buffers(), strict=True)]
    moved = [not torch.equal(one, two) for one, two in buffers if one.ndim]
    assert any(moved)
    assert np.isfinite([float(two.double().sum()) for _, two in buffers]).all()

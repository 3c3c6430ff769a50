"""Low-rank corrections: nothing at first, part of the weights at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.trainables.toy import context, toy_images
from trainables.adaptation import lora
from trainables.contract import AdaptationData, Images
from trainables.detector import Detector, as_input
from trainables.errors import InputError
from trainables.lowrank import LAYERS, adapters
from trainables.recipe import Recipe

FAST = Recipe(epochs=3, batch=8, learning_rate=1e-2, weight_decay=0)


@pytest.fixture
def few(data: AdaptationData) -> AdaptationData:
    return replace(data, few=toy_images(24, seed=4, period=4))


def _logits(detector: Detector, images: Images) -> torch.Tensor:
    with torch.no_grad():
        return detector.eval()(as_input(images.pixels[:16]))


def test_at_first_it_is_the_source_detector_and_merged_it_is_the_adapted_one(
    copies: Callable[[], Detector], target: Images
) -> None:
    source, adapted = copies(), copies()
    with adapters(adapted, rank=2, alpha=4, seed=0) as added:
        assert torch.equal(_logits(source, target), _logits(adapted, target))
        with torch.no_grad():
            for parameter in added:
                parameter.add_(0.01)
        within = _logits(adapted, target)
    assert not torch.equal(within, _logits(source, target))
    assert torch.equal(within, _logits(adapted, target))


def test_what_is_kept_is_an_ordinary_detector(
    copies: Callable[[], Detector], few: AdaptationData, target: Images, tmp_path: Path
) -> None:
    adapted, fresh = copies(), copies()
    lora.adapt(lora.Config(recipe=FAST), adapted, few, context(tmp_path))
    fresh.load_state_dict(adapted.state_dict())
    assert list(adapted.state_dict()) == list(fresh.state_dict())
    assert torch.equal(_logits(adapted, target), _logits(fresh, target))
    assert [type(part) for part in adapted.modules()] == [type(part) for part in fresh.modules()]
    assert [p.requires_grad for p in adapted.parameters()] == [p.requires_grad for p in fresh.parameters()]


@pytest.mark.parametrize("rank", [1, 3])
def test_only_weights_change_and_by_no_more_than_the_rank(
    copies: Callable[[], Detector], few: AdaptationData, tmp_path: Path, rank: int
) -> None:
    source, adapted = copies(), copies()
    lora.adapt(lora.Config(rank=rank, recipe=FAST), adapted, few, context(tmp_path))
    states = source.state_dict(), adapted.state_dict()
    changed = {name for name in states[0] if not torch.equal(states[0][name], states[1][name])}
    layers = {name for name, part in source.named_modules() if isinstance(part, LAYERS) and name != "front.0"}
    assert changed == {f"{name}.weight" for name in layers}
    for name in changed:
        difference = (states[1][name].double() - states[0][name].double()).flatten(1)
        sizes = torch.linalg.svdvals(difference)
        assert (sizes > 1e-4 * sizes[0]).sum() <= rank


def test_the_labels_of_the_few_are_learnt(
    trained: Detector, few: AdaptationData, target: Images, tmp_path: Path
) -> None:
    assert few.few is not None
    turned = replace(few, few=replace(few.few, labels=1 - few.few.labels))
    outcome = lora.adapt(lora.Config(recipe=FAST.model_copy(update={"epochs": 8})), trained, turned, context(tmp_path))
    assert outcome.metrics["few_accuracy"] > 0.9
    called_fake = _logits(trained, target).argmax(dim=1).numpy()
    assert (called_fake == target.labels[:16]).mean() < 0.2


def test_an_interrupted_training_goes_on_to_the_same_end(
    copies: Callable[[], Detector], few: AdaptationData, target: Images, tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    def stop(_: Mapping[str, float]) -> None:
        raise StoppedError

    whole, stopped, resumed = copies(), copies(), copies()
    config = lora.Config(recipe=FAST, steps=3)
    lora.adapt(config, whole, few, context(tmp_path / "whole"))
    with pytest.raises(StoppedError):
        lora.adapt(config, stopped, few, replace(context(tmp_path / "cell"), on_report=stop))
    outcome = lora.adapt(config, resumed, few, context(tmp_path / "cell"))
    assert len(outcome.curves) == FAST.epochs
    assert torch.equal(_logits(whole, target), _logits(resumed, target))
    assert not torch.equal(_logits(whole, target), _logits(stopped, target))


def test_without_layers_to_correct_it_is_refused(few: AdaptationData, tmp_path: Path) -> None:
    head = nn.Linear(48, 2).requires_grad_(False)
    body = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    detector = Detector(front=nn.Identity(), body=body, head=head, layers={}, feature_dim=48, min_size=32, classes=2)
    with pytest.raises(InputError, match="low-rank"):
        lora.adapt(lora.Config(), detector, few, context(tmp_path))

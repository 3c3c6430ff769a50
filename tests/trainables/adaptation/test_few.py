"""Methods with a few labelled target images: few_shot, finetune, surgical, linear_probe, lp_ft."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from tests.trainables.toy import context, toy_images
from trainables.adaptation import few_shot, finetune, linear_probe, lora, lp_ft, surgical
from trainables.anchor import Anchor
from trainables.blocks import block, blocks
from trainables.contract import AdaptationData, Images
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.few import _cycled, drawn
from trainables.probe import STRENGTHS, _strength, last_linear
from trainables.recipe import Recipe
from trainables.score import infer, log_odds, score

MEMBERS = [few_shot, finetune, surgical, linear_probe, lp_ft, lora]
FAST = Recipe(epochs=2, batch=8, learning_rate=1e-2, weight_decay=0)


@pytest.fixture
def few(data: AdaptationData) -> AdaptationData:
    """Data with 12 labelled target images of each class."""
    return replace(data, few=toy_images(24, seed=4, period=4))


def _changed(one: Detector, two: Detector) -> set[str]:
    states = one.state_dict(), two.state_dict()
    return {name for name in states[0] if not torch.equal(states[0][name], states[1][name])}


def _names(detector: Detector, which: str) -> set[str]:
    chosen = {id(parameter) for parameter in block(detector, which)}
    return {name for name, parameter in detector.named_parameters() if id(parameter) in chosen}


# Which images


@pytest.mark.parametrize("k", [1, 5, 12])
def test_k_images_of_each_class_are_drawn_by_turns_and_the_same_again(few: AdaptationData, k: int) -> None:
    assert few.few is not None
    first, again = (drawn(few.few, k, 7, "few", 0) for _ in range(2))
    assert list(first.labels) == [0, 1] * k
    assert len(set(first.ids)) == 2 * k
    assert first.ids == again.ids
    assert np.array_equal(first.pixels[:], again.pixels[:])
    where = [list(few.few.ids).index(name) for name in first.ids]
    assert np.array_equal(first.pixels[:], few.few.pixels[np.array(where)])


def test_smaller_draws_are_part_of_larger_ones_and_other_draws_are_others(few: AdaptationData) -> None:
    assert few.few is not None
    five, ten = (set(drawn(few.few, k, 7, "few", 0).ids) for k in (5, 10))
    assert five < ten
    others = [set(drawn(few.few, 5, seed, "few", draw).ids) for seed, draw in ((7, 1), (8, 0))]
    assert five not in others
    assert others[0] != others[1]


def test_all_squares_of_an_image_are_drawn_together(few: AdaptationData) -> None:
    assert few.few is not None
    squares = replace(
        few.few.take(np.repeat(np.arange(24), 3)),
        ids=[f"{name}/{k}" for name in few.few.ids for k in range(3)],
        views=3,
    )
    found = drawn(squares, 4, 0, "few", 0)
    images = [name.partition("/")[0] for name in found.ids]
    assert len(found) == 24
    assert images == [name for name in dict.fromkeys(images) for _ in range(3)]


@pytest.mark.parametrize("member", MEMBERS)
def test_more_than_the_pool_holds_is_refused_with_both_numbers(
    member: Any, trained: Detector, few: AdaptationData, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"13 real images are wanted, and there are 12"):
        member.adapt(member.Config(k=13), trained, few, context(tmp_path))


@pytest.mark.parametrize("member", MEMBERS)
def test_a_pool_of_3_images_works_for_one_and_is_refused_beyond(
    member: Any, trained: Detector, few: AdaptationData, target: Images, tmp_path: Path
) -> None:
    assert few.few is not None
    tiny = replace(few, few=few.few.take(np.arange(3)))
    with pytest.raises(InputError, match="2 fake images are wanted, and there are 1"):
        member.adapt(member.Config(k=2), trained, tiny, context(tmp_path))
    config = member.Config(k=1)
    if member is not linear_probe:
        config = config.model_copy(update={"recipe": FAST, "steps": 2})
    outcome = member.adapt(config, trained, tiny, context(tmp_path))
    assert np.isfinite(score(trained, target.pixels)).all()
    assert all(np.isfinite(value) for value in outcome.metrics.values())


def test_labels_of_images_that_are_not_drawn_do_not_matter(
    copies: Callable[[], Detector], few: AdaptationData, tmp_path: Path
) -> None:
    assert few.few is not None
    config = few_shot.Config(k=3, steps=3, recipe=FAST)
    chosen = set(drawn(few.few, 3, 0, "few", 0).ids)
    noise = np.where([name in chosen for name in few.few.ids], few.few.pixels[:].T, 0).T
    detectors = copies(), copies()
    for number, (detector, pixels) in enumerate(zip(detectors, (few.few.pixels, noise), strict=True)):
        given = replace(few, few=replace(few.few, pixels=pixels))
        few_shot.adapt(config, detector, given, context(tmp_path / str(number)))
    assert not _changed(*detectors)


@pytest.mark.parametrize(("steps", "batch", "count"), [(1, 8, 24), (2, 7, 28), (5, 8, 40)])
def test_every_image_is_trained_on_however_few_the_steps(
    steps: int, batch: int, count: int, few: AdaptationData
) -> None:
    assert few.few is not None
    stream = _cycled([few.few.take(np.arange(20)), few.few.take(np.arange(20, 24))], steps, batch)
    assert len(stream) == len(stream.pixels) == count
    assert set(stream.ids) == set(few.few.ids)


# What is trained


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (surgical.Config(block=1), ["block1"]),
        (surgical.Config(block="block3"), ["block3"]),
        (surgical.Config(block="head"), ["head"]),
        (finetune.Config(trainable="head"), ["head"]),
        (finetune.Config(), ["block4", "head"]),
        (finetune.Config(trainable="last:3"), ["block2", "block3", "block4", "head"]),
        (finetune.Config(trainable="all"), ["block1", "block2", "block3", "block4", "head"]),
        (few_shot.Config(), ["block1", "block2", "block3", "block4", "head"]),
    ],
    ids=str,
)
@pytest.mark.parametrize("batch_statistics", [False, True])
def test_only_the_named_blocks_change(
    config: Any,
    expected: list[str],
    batch_statistics: bool,
    copies: Callable[[], Detector],
    few: AdaptationData,
    tmp_path: Path,
) -> None:
    before, after = copies(), copies()
    member = {surgical.Config: surgical, finetune.Config: finetune, few_shot.Config: few_shot}[type(config)]
    update = {"batch_statistics": batch_statistics, "recipe": FAST, "steps": 2}
    member.adapt(config.model_copy(update=update), after, few, context(tmp_path))
    norms = {name for name, part in before.named_modules() if isinstance(part, nn.BatchNorm2d)}
    trainable = {name for block_ in expected for name in _names(before, block_)}
    changed = _changed(before, after)
    if batch_statistics:
        moving = {norm for norm in norms if f"{norm}.weight" in trainable}
        statistics = ("running_mean", "running_var", "num_batches_tracked")
        assert changed == trainable | {f"{norm}.{name}" for norm in moving for name in statistics}
    else:
        assert changed == {name for name in trainable if name.rpartition(".")[0] not in norms}


def test_nothing_but_normalisation_to_train_is_refused(few: AdaptationData, tmp_path: Path) -> None:
    norm = nn.BatchNorm1d(3 * 32 * 32)
    body = nn.Sequential(nn.Flatten(), norm)
    detector = Detector(
        front=nn.Identity(),
        body=body,
        head=nn.Linear(3 * 32 * 32, 2),
        layers={"norm": norm},
        feature_dim=3 * 32 * 32,
        min_size=32,
        classes=2,
    )
    assert list(blocks(detector)) == ["norm", "head"]
    with pytest.raises(InputError, match="normalisation"):
        surgical.adapt(surgical.Config(block="norm", batch_statistics=False), detector, few, context(tmp_path))


def test_where_it_would_do_nothing_batch_statistics_is_no_parameter() -> None:
    with pytest.raises(ValueError, match="batch_statistics"):
        lora.Config.model_validate({"batch_statistics": False})
    assert not surgical.Config.model_validate({"batch_statistics": False}).batch_statistics


def test_the_labels_of_the_few_are_what_is_learnt(
    trained: Detector, few: AdaptationData, target: Images, tmp_path: Path
) -> None:
    assert few.few is not None
    turned = replace(few, few=replace(few.few, labels=1 - few.few.labels))
    config = few_shot.Config(anchor=0, recipe=FAST.model_copy(update={"epochs": 8}))
    outcome = few_shot.adapt(config, trained, turned, context(tmp_path))
    assert ((score(trained, target.pixels) > 0.5) == target.labels).mean() < 0.2
    assert outcome.metrics["few_accuracy"] > 0.9
    assert outcome.metrics["few_images"] == 20
    assert len(outcome.curves) == 8
    assert outcome.metrics["epoch"] == 8  # the last, whatever the source's accuracy


def test_replay_keeps_the_source(copies: Callable[[], Detector], few: AdaptationData, tmp_path: Path) -> None:
    assert few.few is not None
    turned = replace(few, few=replace(few.few, labels=1 - few.few.labels))

    def on_source(replay: int) -> float:
        recipe = FAST.model_copy(update={"epochs": 8})
        config = few_shot.Config(k=5, anchor=0, replay=replay, recipe=recipe)
        outcome = few_shot.adapt(config, copies(), turned, context(tmp_path / str(replay)))
        return outcome.metrics["source_val_accuracy"]

    assert on_source(50) > on_source(0) + 0.2


# L2-SP


def _distance(one: Detector, two: Detector) -> float:
    states = one.state_dict(), two.state_dict()
    return sum((states[0][name] - states[1][name]).double().square().sum().item() for name in states[0]) ** 0.5


def test_the_penalty_is_half_the_weighted_squared_distance() -> None:
    layer = nn.Linear(3, 2).double()
    anchor = Anchor(layer.parameters(), 0.3)
    start = [parameter.detach().clone() for parameter in layer.parameters()]
    assert anchor().item() == 0
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    squares = sum(((p - s) ** 2).sum().item() for p, s in zip(layer.parameters(), start, strict=True))
    assert anchor().item() == pytest.approx(0.15 * squares)
    assert anchor.distance() == pytest.approx(squares**0.5)
    anchor().backward()
    torch.testing.assert_close(layer.weight.grad, 0.3 * (layer.weight - start[0]))
    assert not list(anchor.parameters())


def test_a_huge_anchor_leaves_the_detector_where_it_was(
    copies: Callable[[], Detector], few: AdaptationData, tmp_path: Path
) -> None:
    assert few.few is not None
    turned = replace(few, few=replace(few.few, labels=1 - few.few.labels))

    def adapted(anchor: float) -> Detector:
        detector = copies()
        recipe = FAST.model_copy(update={"epochs": 5})
        config = few_shot.Config(anchor=anchor, batch_statistics=False, recipe=recipe)
        outcome = few_shot.adapt(config, detector, turned, context(tmp_path / str(anchor)))
        assert outcome.metrics["moved"] == pytest.approx(_distance(copies(), detector), rel=1e-3)
        return detector

    free, held = (_distance(copies(), adapted(anchor)) for anchor in (0, 1e6))
    assert held < free / 50


# Linear probe


def test_the_probe_is_the_logistic_regression_of_sklearn(
    trained: Detector, few: AdaptationData, target: Images, tmp_path: Path
) -> None:
    assert few.few is not None
    images = drawn(few.few, 10, 0, "few", 0)
    features, of_target = (infer(trained, trained.features, i.pixels).astype(float) for i in (images, target))
    trained.shift += 3
    trained.scale *= 2  # a calibration of the old head does not outlive it
    outcome = linear_probe.adapt(linear_probe.Config(), trained, few, context(tmp_path))
    scaler = StandardScaler().fit(features)
    model = LogisticRegression(C=outcome.metrics["probe_c"], max_iter=10_000)
    model.fit(scaler.transform(features), images.labels)
    expected = model.decision_function(scaler.transform(of_target))
    np.testing.assert_allclose(log_odds(trained, target.pixels), expected, rtol=1e-4, atol=1e-4)


def test_the_squares_of_an_image_are_in_one_fold() -> None:
    """The labels are chance, the squares of an image alike: a square in another fold would give its image's label away.

    Without that nothing can be learnt, and the strongest penalty is best.
    """
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 30)).repeat(4, axis=0) + rng.normal(0, 0.01, size=(160, 30))
    fake = rng.permutation(np.arange(40) % 2).repeat(4)
    digests = [f"image{number}" for number in range(40) for _ in range(4)]
    assert _strength(features, fake, digests, 0)[0] == min(STRENGTHS)
    assert _strength(features, fake, [f"{n}" for n in range(160)], 0)[0] > 1


def test_the_probe_changes_the_last_layer_alone(
    copies: Callable[[], Detector], few: AdaptationData, tmp_path: Path
) -> None:
    before, after = copies(), copies()
    linear_probe.adapt(linear_probe.Config(), after, few, context(tmp_path))
    assert _changed(before, after) == {"head.weight", "head.bias"}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_probe_of_a_head_of_several_layers_and_classes(
    few: AdaptationData, target: Images, tmp_path: Path, classes: int, bias: bool
) -> None:
    torch.manual_seed(0)
    head = nn.Sequential(nn.Linear(48, 16), nn.ReLU(), nn.Linear(16, classes, bias=bias))
    body = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    detector = Detector(
        front=nn.Identity(), body=body, head=head, layers={}, feature_dim=48, min_size=32, classes=classes
    )
    assert last_linear(detector) is head[2]
    images = drawn(few.few, 10, 0, "few", 0) if few.few else target
    hidden = [infer(detector, lambda x: head[:2](detector.features(x)), i.pixels) for i in (images, target)]
    outcome = linear_probe.adapt(linear_probe.Config(), detector, few, context(tmp_path))
    scaler = StandardScaler().fit(hidden[0].astype(float))
    model = LogisticRegression(C=outcome.metrics["probe_c"], max_iter=10_000)
    model.fit(scaler.transform(hidden[0].astype(float)), images.labels)
    expected = model.decision_function(scaler.transform(hidden[1].astype(float)))
    np.testing.assert_allclose(log_odds(detector, target.pixels), expected, rtol=1e-3, atol=1e-3)


def test_a_head_without_a_linear_end_is_refused(few: AdaptationData, tmp_path: Path) -> None:
    head = nn.Sequential(nn.Linear(48, 2), nn.Tanh())
    body = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten())
    detector = Detector(front=nn.Identity(), body=body, head=head, layers={}, feature_dim=48, min_size=32, classes=2)
    with pytest.raises(InputError, match="linear layer"):
        linear_probe.adapt(linear_probe.Config(), detector, few, context(tmp_path))


def test_lp_ft_starts_from_the_probe(copies: Callable[[], Detector], few: AdaptationData, tmp_path: Path) -> None:
    probed, tuned, moved = copies(), copies(), copies()
    linear_probe.adapt(linear_probe.Config(), probed, few, context(tmp_path / "probe"))
    still = FAST.model_copy(update={"learning_rate": 1e-30})
    lp_ft.adapt(lp_ft.Config(batch_statistics=False, recipe=still), tuned, few, context(tmp_path / "still"))
    assert not _changed(probed, tuned)
    outcome = lp_ft.adapt(lp_ft.Config(recipe=FAST), moved, few, context(tmp_path / "moved"))
    assert {"probe_c", "moved", "few_accuracy"} <= set(outcome.metrics)
    assert {"head.weight", "body.0.0.weight"} <= _changed(probed, moved)


def test_lp_ft_learns_at_a_tenth_of_few_shots_rate() -> None:
    assert lp_ft.Config().recipe.learning_rate == pytest.approx(few_shot.Config().recipe.learning_rate / 10)


@pytest.mark.parametrize("given", ["first", "last", "last:0", "last:x"])
def test_what_is_trainable_is_checked_when_it_is_read(given: str) -> None:
    with pytest.raises(ValueError, match="trainable"):
        finetune.Config(trainable=given)

"""The lower bound of a sequence, and what a step of every method is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.trainables.adaptation.sequences import same, third_step
from tests.trainables.toy import QUICK, context, toy_images
from trainables.adaptation import ewc, joint, lwf, naive, replay
from trainables.contract import AdaptationData
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.fit import fit
from trainables.objective import SUPERVISED
from trainables.recipe import Recipe
from trainables.score import log_odds

MEMBERS: list[Any] = [naive, replay, lwf, ewc, joint]
OF_THE_PAST: list[Any] = [replay, ewc, joint]
NOTHING: list[tuple[Any, dict[str, float]]] = [(replay, {"images": 0}), (lwf, {"weight": 0}), (ewc, {"weight": 0})]
LONGER = Recipe(epochs=6, batch=16, learning_rate=5e-3)


def test_it_is_the_ordinary_training_on_the_new_generator(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    step = third_step(data)
    assert step.oracle_train is not None
    assert step.oracle_val is not None
    learnt, plain = copies(), copies()
    outcome = naive.adapt(naive.Config(recipe=QUICK), learnt, step, context(tmp_path / "naive"))
    fitted = fit(plain, SUPERVISED, QUICK, step.oracle_train, step.oracle_val, context(tmp_path / "plain"))
    assert same(learnt, plain)
    assert outcome.metrics["target_val_accuracy"] == fitted.curves[fitted.chosen]["val_accuracy"]
    assert "source_val_accuracy" not in outcome.metrics


def test_it_learns_the_new_generator_from_its_labels_and_forgets_the_first(
    trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    """Labels that are turned round could not be learnt without them, and go against everything before."""

    def turned(count: int, seed: int) -> Any:
        images = toy_images(count, seed=seed, period=4)
        return replace(images, labels=1 - images.labels)

    step = replace(third_step(data), oracle_train=turned(128, 11), oracle_val=turned(32, 12))
    outcome = naive.adapt(naive.Config(recipe=LONGER), trained, step, context(tmp_path))
    assert outcome.metrics["target_val_accuracy"] > 0.9
    known = data.source_val
    assert ((log_odds(trained, known.pixels) > 0) == (known.labels == 1)).mean() < 0.5


@pytest.mark.parametrize(("member", "nothing"), NOTHING, ids=lambda given: getattr(given, "__name__", ""))
def test_methods_that_do_nothing_against_forgetting_are_naive_to_the_last_bit(
    member: Any, nothing: dict[str, float], copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    step = third_step(data)
    plain, idle, busy = copies(), copies(), copies()
    naive.adapt(naive.Config(recipe=QUICK), plain, step, context(tmp_path / "naive"))
    member.adapt(member.Config(recipe=QUICK, **nothing), idle, step, context(tmp_path / "nothing"))
    member.adapt(member.Config(recipe=QUICK), busy, step, context(tmp_path / "something"))
    assert same(plain, idle)
    assert not same(plain, busy)


@pytest.mark.parametrize("member", MEMBERS)
def test_images_of_the_first_generator_that_are_not_among_those_before_are_not_read(
    member: Any, copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    step = third_step(data)
    others = {name: toy_images(len(getattr(data, name)), seed=77, period=16) for name in ("source_train", "source_val")}
    one, two = copies(), copies()
    for detector, given in ((one, step), (two, replace(step, **others))):
        member.adapt(member.Config(recipe=QUICK), detector, given, context(tmp_path / str(id(detector))))
    assert same(one, two)


@pytest.mark.parametrize("member", MEMBERS)
def test_the_new_generators_held_out_images_choose_the_epoch(
    member: Any, trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    step = third_step(data)
    assert step.oracle_val is not None
    outcome = member.adapt(member.Config(recipe=LONGER), trained, step, context(tmp_path))
    found = [row["val_accuracy"] for row in outcome.curves]
    right = (log_odds(trained, step.oracle_val.pixels) > 0) == (step.oracle_val.labels == 1)
    assert right.mean() == max(found)
    assert outcome.metrics["epoch"] == len(found) - int(np.argmax(found[::-1]))


@pytest.mark.parametrize("member", MEMBERS)
def test_a_step_without_labels_of_the_new_generator_is_refused(
    member: Any, trained: Detector, data: AdaptationData, tmp_path: Path
) -> None:
    for lacking in ("oracle_train", "oracle_val"):
        with pytest.raises(InputError, match="labelled images of the new generator"):
            member.adapt(member.Config(), trained, replace(third_step(data), **{lacking: None}), context(tmp_path))


@pytest.mark.parametrize("member", OF_THE_PAST)
def test_methods_of_the_past_need_one(member: Any, trained: Detector, data: AdaptationData, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no generator was learnt before"):
        member.adapt(member.Config(), trained, replace(third_step(data), earlier=()), context(tmp_path))

"""What every rule of selection of the registry must do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.trainables.selection.epochs import (
    bare,
    collapsed_epoch,
    confused_epoch,
    good,
    said,
    shuffled,
    told_apart,
    unlabelled,
)
from trainables.errors import LabelLeakError
from trainables.registry import SELECTIONS, find
from trainables.selection.epoch import Answers, Epoch

pytestmark = pytest.mark.parametrize("kind", sorted(SELECTIONS))

FOOLED_BY_COLLAPSE = ("entropy", "snd")
"""One answer to everything is sure of everything, and one heap of features is dense."""

BLIND_TO_CONFUSION = ("diversity",)
"""Images that are as likely fake as real are of both classes, all together."""

READ_FEATURES = ("snd", "dev", "iwv", "circular", "class_ami")


def _value(kind: str, epoch: Epoch) -> float:
    value: Callable[[Epoch], float] = find("selections", kind).load().value
    return value(epoch)


def _everywhere(epoch: Epoch, change: Callable[[Answers], Answers]) -> Epoch:
    """The epoch with all its answers changed."""
    return Epoch(
        source=change(epoch.source),
        target=change(epoch.target),
        third={name: change(fakes) for name, fakes in epoch.third.items()},
        oracle=None if epoch.oracle is None else change(epoch.oracle),
    )


def _with_log_odds(number: float) -> Callable[[Answers], Answers]:
    """The first image's log odds replaced."""
    return lambda answers: replace(answers, log_odds=np.array([number, *answers.log_odds[1:]]))


def test_it_is_a_number_and_the_same_one_to_the_bit(kind: str) -> None:
    first, again = _value(kind, good()), _value(kind, good())
    assert type(first) is float
    assert math.isfinite(first)
    assert first == again


def test_it_does_not_depend_on_the_order_of_the_images(kind: str) -> None:
    for epoch in (good(), confused_epoch()):
        expected = _value(kind, epoch)
        for seed in range(3):
            assert _value(kind, shuffled(epoch, seed)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_it_asks_for_no_label_of_the_target(kind: str) -> None:
    epoch = good()
    with pytest.raises(LabelLeakError):
        _ = epoch.target.labels
    assert math.isfinite(_value(kind, epoch))


def test_only_an_oracle_reads_labelled_images_of_the_target(kind: str) -> None:
    blind = _value(kind, replace(good(), oracle=None))
    assert math.isnan(blind) if "oracle" in SELECTIONS[kind].traits else blind == _value(kind, good())


def test_only_what_says_so_needs_a_third_generator(kind: str) -> None:
    alone = _value(kind, replace(good(), third={}))
    assert math.isnan(alone) if "third" in SELECTIONS[kind].traits else alone == _value(kind, good())


def test_telling_images_apart_is_worth_more_than_one_answer_to_all(kind: str) -> None:
    better, worse = _value(kind, good()), _value(kind, collapsed_epoch())
    if kind in FOOLED_BY_COLLAPSE:
        assert worse > better
    else:
        assert better > worse or math.isnan(worse)


def test_telling_images_apart_is_worth_more_than_noise(kind: str) -> None:
    better, worse = _value(kind, good()), _value(kind, confused_epoch())
    assert abs(better - worse) < 1e-3 if kind in BLIND_TO_CONFUSION else better > worse + 0.01


def test_without_features_only_what_reads_them_is_undefined(kind: str) -> None:
    assert math.isnan(_value(kind, _everywhere(good(), bare))) == (kind in READ_FEATURES)


@pytest.mark.parametrize("number", [0.0, 3.4e38, math.nan, math.inf])
def test_features_that_tell_nothing_apart_leave_what_reads_them_undefined(kind: str, number: float) -> None:
    for part in ("source", "target"):
        answers: Answers = getattr(good(), part)
        empty = replace(answers, features=np.full_like(answers.features, number))
        value = _value(kind, replace(good(), **{part: empty}))
        reads = kind in READ_FEATURES and (part == "target" or kind not in ("snd", "class_ami"))
        assert math.isnan(value) == reads


def test_a_detector_that_has_diverged_has_no_figure(kind: str) -> None:
    assert math.isnan(_value(kind, _everywhere(good(), _with_log_odds(math.nan))))


@pytest.mark.parametrize("number", [math.inf, -math.inf, 1e300])
def test_log_odds_without_bound_have_a_figure(kind: str, number: float) -> None:
    assert math.isfinite(_value(kind, _everywhere(good(), _with_log_odds(number))))


@pytest.mark.parametrize("sign", [-1, 1])
def test_predictions_of_one_class_raise_nothing(kind: str, sign: int) -> None:
    one_sided = _everywhere(good(), lambda answers: replace(answers, log_odds=sign * (1 + np.abs(answers.log_odds))))
    assert math.isnan(_value(kind, one_sided)) == (kind == "circular")


@pytest.mark.parametrize("sizes", [(0, 0), (0, 4), (4, 0), (1, 1), (1, 4), (4, 1), (2, 2), (2, 1), (3, 2)])
@pytest.mark.parametrize("width", [1, 8])
def test_a_handful_of_images_raise_nothing(kind: str, sizes: tuple[int, int], width: int) -> None:
    source, target, third = (told_apart(n, seed, width=width) for seed, n in enumerate((*sizes, sizes[1])))
    held_out = bare(third)
    fakes = held_out.take(np.flatnonzero(held_out.labels == 1))
    epoch = Epoch(source=source, target=unlabelled(target), third={"third": fakes}, oracle=held_out)
    assert type(_value(kind, epoch)) is float


def test_features_far_apart_or_all_but_equal_raise_nothing(kind: str) -> None:
    for scale, offset in ((1e30, 0.0), (1e-30, 0.0), (1e-3, 1e3), (1.0, 1e7)):
        stretched = _everywhere(
            good(),
            lambda answers, scale=scale, offset=offset: replace(answers, features=_moved(answers, scale, offset)),
        )
        assert math.isfinite(_value(kind, stretched))


def _moved(answers: Answers, scale: float, offset: float) -> np.ndarray:
    return (answers.features.astype(np.float64) * scale + offset).astype(np.float32)


def test_duplicates_raise_nothing(kind: str) -> None:
    twice = said([-3, -3, 3, 3] * 3, [[-1.0], [-1.0], [1.0], [1.0]] * 3, [0, 0, 1, 1] * 3)
    third = bare(twice.take(np.array([2, 3])))
    epoch = Epoch(source=twice, target=unlabelled(twice), third={"third": third}, oracle=bare(twice))
    assert math.isfinite(_value(kind, epoch))

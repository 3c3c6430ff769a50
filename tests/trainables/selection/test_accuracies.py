"""Rules that count right answers: ``source_val``, ``oracle``, ``leave_one_out``."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from sklearn.metrics import balanced_accuracy_score

from tests.trainables.selection.epochs import good, said
from trainables.selection import leave_one_out, oracle, source_val
from trainables.selection.epoch import Epoch

EPOCH = Epoch(
    source=said([-1, -2, 3, -4, 5, 6], known=[0, 0, 0, 0, 1, 1]),
    target=said([9.0, -9.0]),
    third={"gan": said([1, 2, -3, -4], known=[1] * 4), "dm": said([7, 8], known=[1, 1])},
    oracle=said([-1, 1, 1, 1], known=[0, 0, 1, 1]),
)


def test_accuracies_by_hand() -> None:
    assert source_val.value(EPOCH) == pytest.approx(5 / 6)
    assert oracle.value(EPOCH) == pytest.approx(3 / 4)


def test_a_bound_is_undefined_where_no_label_of_the_target_is_known() -> None:
    assert math.isnan(oracle.value(replace(EPOCH, oracle=None)))


def test_third_generators_by_hand() -> None:
    reals = 3 / 4
    assert leave_one_out.value(EPOCH) == pytest.approx(((2 / 4 + reals) / 2 + (1 + reals) / 2) / 2)


def test_third_generators_as_balanced_accuracies_of_each_with_the_sources_reals() -> None:
    epoch = good(40)
    third = {"a": epoch.third["third"], "b": said([-1.0, 2.0, 3.0], known=[1, 1, 1])}
    reals = epoch.source.log_odds[epoch.source.labels == 0]
    expected = [
        balanced_accuracy_score(
            [0] * len(reals) + [1] * len(fakes), [z > 0 for z in [*reals.tolist(), *fakes.log_odds.tolist()]]
        )
        for fakes in third.values()
    ]
    assert leave_one_out.value(replace(epoch, third=third)) == pytest.approx(sum(expected) / 2)


def test_fakes_of_the_source_do_not_count_for_third_generators() -> None:
    wrong = said([-1, -2, 3, -4, -5, -6], known=[0, 0, 0, 0, 1, 1])
    assert leave_one_out.value(replace(EPOCH, source=wrong)) == leave_one_out.value(EPOCH)


def test_without_third_generators_or_real_images_it_is_undefined() -> None:
    assert math.isnan(leave_one_out.value(replace(EPOCH, third={})))
    assert math.isnan(leave_one_out.value(replace(EPOCH, third=dict(EPOCH.third) | {"none": said([], known=[])})))
    assert math.isnan(leave_one_out.value(replace(EPOCH, source=said([1, 2], known=[1, 1]))))

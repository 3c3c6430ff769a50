"""Which epoch a rule chooses from the rows of a training."""

from __future__ import annotations

import math

import pytest

from trainables.selection.rule import best, last, source_val


@pytest.mark.parametrize(
    ("accuracies", "chosen"), [([0.7], 0), ([0.7, 0.9, 0.8], 1), ([0.9, 1.0, 1.0, 0.99], 2), ([0.5, 0.5, 0.5], 2)]
)
def test_the_best_source_accuracy_and_of_equals_the_latest(accuracies: list[float], chosen: int) -> None:
    assert source_val([{"val_accuracy": accuracy} for accuracy in accuracies]) == chosen


@pytest.mark.parametrize(
    ("figures", "chosen"),
    [
        ([math.nan, -2.0, -3.0], 1),
        ([-2.0, math.nan], 0),
        ([math.nan, math.nan], 1),
        ([-1.0, -1.0, math.nan], 1),
    ],
)
def test_an_epoch_without_a_figure_is_chosen_only_where_none_has_one(figures: list[float], chosen: int) -> None:
    assert best("dev")([{"dev": figure, "val_accuracy": 1 - place} for place, figure in enumerate(figures)]) == chosen


def test_a_rule_reads_its_own_column_and_the_last_epoch_reads_none() -> None:
    rows = [{"val_accuracy": 0.9, "im": 0.1}, {"val_accuracy": 0.8, "im": 0.6}, {"val_accuracy": 0.7, "im": 0.5}]
    assert [best(name)(rows) for name in ("source_val", "im")] == [0, 1]
    assert last(rows) == 2

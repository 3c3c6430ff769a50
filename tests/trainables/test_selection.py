from __future__ import annotations

import pytest

from trainables.selection import source_val


@pytest.mark.parametrize(
    ("accuracies", "chosen"), [([0.7], 0), ([0.7, 0.9, 0.8], 1), ([0.9, 1.0, 1.0, 0.99], 2), ([0.5, 0.5, 0.5], 2)]
)
def test_the_best_source_accuracy_and_of_equals_the_latest(accuracies: list[float], chosen: int) -> None:
    assert source_val([{"val_accuracy": accuracy} for accuracy in accuracies]) == chosen

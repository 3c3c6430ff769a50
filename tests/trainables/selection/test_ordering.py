"""The order that folds and starts are taken in."""

from __future__ import annotations

import numpy as np
import pytest

from tests.trainables.selection.epochs import said, told_apart, unlabelled
from trainables.selection.ordering import in_order


@pytest.mark.parametrize("seed", range(5))
def test_every_order_ends_in_the_same_one(seed: int) -> None:
    answers = told_apart(30, seed)
    other = answers.take(np.random.default_rng(seed).permutation(30))
    for known in (True, False):
        one, two = (in_order(given if known else unlabelled(given)) for given in (answers, other))
        assert (one.log_odds == two.log_odds).all()
        assert (one.features == two.features).all()
        assert not known or (one.labels == two.labels).all()
        assert sorted(one.log_odds) == sorted(answers.log_odds)


def test_images_that_differ_in_one_thing_alone_have_their_places() -> None:
    answers = said([1.0, 1.0, 1.0, 2.0], [[0.0], [0.0], [3.0], [0.0]], [0, 1, 0, 0])
    rows = {
        tuple(zip(some.log_odds, some.features[:, 0], some.labels, strict=True))
        for order in ([0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 3, 2])
        for some in [in_order(answers.take(np.array(order)))]
    }
    assert len(rows) == 1

"""Rules that read the target's predictions alone: ``entropy``, ``diversity``, ``im``, ``bnm``."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import eigvalsh

from tests.trainables.selection.epochs import said
from trainables.selection import bnm, diversity, entropy, im
from trainables.selection.epoch import Epoch

LOG2 = math.log(2)


def _epoch(log_odds: list[float]) -> Epoch:
    return Epoch(source=said([1.0], known=[1]), target=said(log_odds))


def _binary_entropy(p: float) -> float:
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)


@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_entropies_image_by_image(n: int) -> None:
    log_odds = (3 * np.random.default_rng(n).normal(size=n)).tolist()
    fake = [1 / (1 + math.exp(-z)) for z in log_odds]
    mean_entropy = sum(map(_binary_entropy, fake)) / n
    entropy_of_mean = _binary_entropy(sum(fake) / n)
    epoch = _epoch(log_odds)
    assert entropy.value(epoch) == pytest.approx(-mean_entropy)
    assert diversity.value(epoch) == pytest.approx(entropy_of_mean)
    assert im.value(epoch) == pytest.approx(entropy_of_mean - mean_entropy, abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_the_nuclear_norm_is_the_sum_of_the_roots_of_the_gram_matrixs_eigenvalues(n: int) -> None:
    log_odds = np.random.default_rng(n).normal(size=n)
    fake = 1 / (1 + np.exp(-log_odds))
    rows = np.column_stack([1 - fake, fake])
    expected = np.sqrt(np.maximum(eigvalsh(rows.T @ rows), 0)).sum() / n
    assert bnm.value(_epoch(log_odds.tolist())) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("log_odds", "expected"),
    [
        # sure, and half of each class; sure, and all of one; sure of nothing
        ([-math.inf, math.inf], {"entropy": 0, "diversity": LOG2, "im": LOG2, "bnm": math.sqrt(2 / 2)}),
        ([math.inf, math.inf], {"entropy": 0, "diversity": 0, "im": 0, "bnm": 1 / math.sqrt(2)}),
        ([0.0, 0.0], {"entropy": -LOG2, "diversity": LOG2, "im": 0, "bnm": 1 / math.sqrt(2 * 2)}),
        ([math.inf], {"entropy": 0, "diversity": 0, "im": 0, "bnm": 1}),
    ],
)
def test_the_ends_by_hand(log_odds: list[float], expected: dict[str, float]) -> None:
    epoch = _epoch(log_odds)
    found = {"entropy": entropy, "diversity": diversity, "im": im, "bnm": bnm}
    assert {name: rule.value(epoch) for name, rule in found.items()} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [2, 7, 64])
def test_the_nuclear_norm_stays_in_its_range(n: int) -> None:
    for seed in range(20):
        value = bnm.value(_epoch((4 * np.random.default_rng([n, seed]).normal(size=n)).tolist()))
        assert 1 / math.sqrt(2 * n) <= value <= math.sqrt(2 / n) + 1e-12

"""Class AMI."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.stats import hypergeom

from tests.trainables.selection.epochs import said, told_apart
from trainables.selection import class_ami
from trainables.selection.epoch import Answers, Epoch


def _value(target: Answers) -> float:
    return class_ami.value(Epoch(source=said([1.0], known=[1]), target=replace(target, known=None)))


def _two_means(features: np.ndarray) -> list[int]:
    """The partition in two of least inertia, of all there are; the first image is in the first part."""

    def inertia(parts: tuple[int, ...]) -> float:
        chosen = np.array([0, *parts])
        return sum(
            ((features[chosen == k] - features[chosen == k].mean(axis=0)) ** 2).sum() for k in set(chosen.tolist())
        )

    return [0, *min(product((0, 1), repeat=len(features) - 1), key=inertia)]


def _information(table: dict[tuple[int, int], float], rows: list[float], columns: list[float]) -> float:
    n = sum(rows)
    return sum(c / n * math.log(n * c / (rows[i] * columns[j])) for (i, j), c in table.items() if c > 0)


def _adjusted(one: list[int], two: list[int]) -> float:
    """Adjusted mutual information from its definition: tables with the same margins are hypergeometric."""
    n = len(one)
    rows, columns = ([float(labels.count(k)) for k in (0, 1)] for labels in (one, two))
    pairs = list(zip(one, two, strict=True))
    mutual = _information({pair: float(pairs.count(pair)) for pair in set(pairs)}, rows, columns)
    expected = 0.0
    for both in range(n + 1):
        chance = float(hypergeom(n, int(rows[0]), int(columns[0])).pmf(both))
        if chance > 0:
            a, b, c = float(both), rows[0] - both, columns[0] - both
            expected += chance * _information({(0, 0): a, (0, 1): b, (1, 0): c, (1, 1): n - a - b - c}, rows, columns)
    entropies = [-sum(k / n * math.log(k / n) for k in margin if k > 0) for margin in (rows, columns)]
    return (mutual - expected) / (sum(entropies) / 2 - expected)


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("seed", range(4))
def test_the_best_of_all_partitions_and_the_definition(seed: int, width: int) -> None:
    rng = np.random.default_rng([seed, width])
    features = rng.normal(size=(10, width)).astype(np.float32)
    log_odds = features[:, 0] + 0.8 * rng.normal(size=10)
    clusters = _two_means(features.astype(float))
    expected = _adjusted(clusters, (log_odds > 0).astype(int).tolist())
    assert _value(said(log_odds, features)) == pytest.approx(expected)


def test_clusters_that_are_the_predictions_whichever_is_called_which() -> None:
    target = told_apart(40, 0)
    target.features[:, 0] += 20 * target.labels
    sure = replace(target, log_odds=np.where(target.labels == 1, 1.0, -1.0))
    assert _value(sure) == pytest.approx(1)
    assert _value(replace(sure, log_odds=-sure.log_odds)) == pytest.approx(1)


def test_predictions_at_random_agree_as_chance_would_have_it() -> None:
    target = told_apart(400, 0)
    odds = np.random.default_rng(0).normal(size=400)
    assert _value(replace(target, log_odds=odds)) == pytest.approx(0, abs=0.02)


def test_predictions_of_one_class_agree_with_nothing() -> None:
    target = told_apart(20, 0)
    assert _value(replace(target, log_odds=np.full(20, 2.0))) == 0


def test_of_one_image_there_are_no_clusters_and_of_two_there_are() -> None:
    assert math.isnan(_value(said([1.0], [[1.0]])))
    assert _value(said([-1.0, 1.0], [[1.0], [2.0]])) == pytest.approx(1)

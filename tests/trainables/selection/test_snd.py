"""Soft neighbourhood density."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.spatial.distance import cosine

from tests.trainables.selection.epochs import said
from trainables.selection import snd
from trainables.selection.epoch import Epoch


def _value(features: ArrayLike) -> float:
    rows = np.asarray(features, np.float32)
    return snd.value(Epoch(source=said([1.0], known=[1]), target=said(np.ones(len(rows)), rows)))


def _pair_by_pair(features: np.ndarray) -> float:
    total = 0.0
    for i, one in enumerate(features):
        near = [math.exp((1 - cosine(one, other)) / 0.05) for j, other in enumerate(features) if j != i]
        total -= sum(weight / sum(near) * math.log(weight / sum(near)) for weight in near)
    return total / len(features)


@pytest.mark.parametrize(("n", "width"), [(3, 1), (3, 2), (20, 5), (12, 40)])
def test_similarities_pair_by_pair(n: int, width: int) -> None:
    features = np.random.default_rng([n, width]).normal(size=(n, width)).astype(np.float32)
    assert _value(features) == pytest.approx(_pair_by_pair(features.astype(np.float64)), rel=1e-9)


def test_two_heaps_by_hand() -> None:
    # opposite directions weigh exp(-2 / .05) as much: every image has the 2 others of its heap for neighbours
    assert _value([[1, 0], [2, 0], [3, 0], [-1, 0], [-2, 0], [-5, 0]]) == pytest.approx(math.log(2), abs=1e-9)


def test_of_two_images_each_has_one_neighbour_and_a_single_one_has_none() -> None:
    assert _value([[1.0], [2.0]]) == pytest.approx(0)
    assert math.isnan(_value([[1.0]]))


def test_an_image_without_features_is_as_near_to_all_others() -> None:
    others = np.eye(3)
    assert _value([[0, 0, 0], *others]) == pytest.approx(math.log(3))


def test_tighter_heaps_are_denser() -> None:
    rng = np.random.default_rng(0)
    centres = np.repeat([[4.0, 0, 0, 0], [0, 4.0, 0, 0]], 20, axis=0)
    noise = rng.normal(size=centres.shape)
    assert _value(centres + 0.2 * noise) > _value(centres + noise) > _value(centres + 4 * noise)

"""The reservoir of earlier images, and how it comes with the new ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.trainables.adaptation.sequences import same, third_step
from tests.trainables.toy import QUICK, context, toy_images
from trainables.adaptation import replay
from trainables.adaptation.naive import Config as Naive
from trainables.continual import learn, reservoir
from trainables.contract import AdaptationData, Images
from trainables.data.stack import together
from trainables.detector import Detector

EARLIER = [toy_images(40, seed=20 + period, period=period) for period in (2, 8, 16)]
CAMERA = toy_images(40, seed=50)


def _sharing_reals() -> list[Images]:
    """Three generators against the same 20 real images."""
    reals = CAMERA.take(np.flatnonzero(CAMERA.labels == 0))
    return [together([reals, images.take(np.flatnonzero(images.labels == 1))]) for images in EARLIER]


def _groups(images: Images, earlier: list[Images]) -> Counter[tuple[int, int]]:
    """How many images there are of each generator, by its place, and class."""
    owner = {name: place for place, of in reversed(list(enumerate(earlier))) for name in of.ids}
    return Counter((owner[name], int(label)) for name, label in zip(images.ids, images.labels, strict=True))


@pytest.mark.parametrize(
    ("count", "sizes"), [(30, [5] * 6), (32, [6, 6, 5, 5, 5, 5]), (4, [1, 1, 1, 1]), (99, [17] * 3 + [16] * 3)]
)
def test_it_holds_as_many_of_each_generator_and_class(count: int, sizes: list[int]) -> None:
    kept = reservoir(EARLIER, count, seed=3)
    groups = [(place, label) for place in range(3) for label in (0, 1)]
    assert len(set(kept.ids)) == len(kept) == count
    assert _groups(kept, EARLIER) == dict(zip(groups, sizes, strict=False))


def test_its_images_are_what_they_were() -> None:
    kept = reservoir(EARLIER, 30, seed=3)
    known = together(EARLIER)
    where = np.array([list(known.ids).index(name) for name in kept.ids])
    assert np.array_equal(kept.pixels[:], known.pixels[where])
    assert np.array_equal(kept.labels, known.labels[where])
    assert list(kept.generators) == [known.generators[i] for i in where]


def test_a_group_that_is_smaller_gives_all_it_has() -> None:
    few = EARLIER[0].take(np.arange(6))
    kept = reservoir([few, EARLIER[1]], 40, seed=0)
    assert _groups(kept, [few, EARLIER[1]]) == {(0, 0): 3, (0, 1): 3, (1, 0): 10, (1, 1): 10}


def test_the_seed_and_nothing_else_draws_it() -> None:
    first = reservoir(EARLIER, 30, seed=3)
    assert list(reservoir(EARLIER, 30, seed=3).ids) == list(first.ids)
    shuffled = [images.take(np.random.default_rng(0).permutation(len(images))) for images in EARLIER]
    assert set(reservoir(shuffled, 30, seed=3).ids) == set(first.ids)
    assert set(reservoir(EARLIER, 30, seed=4).ids) != set(first.ids)


@pytest.mark.parametrize("earlier", [EARLIER, _sharing_reals()], ids=["own reals", "shared reals"])
@pytest.mark.parametrize("count", [7, 30, 31])
def test_it_could_be_kept_with_nothing_else_at_hand(earlier: list[Images], count: int) -> None:
    before: set[str] = set()
    for learnt in (1, 2, 3):
        now = set(reservoir(earlier[:learnt], count, seed=5).ids)
        assert now <= before | set(earlier[learnt - 1].ids)
        before = now


def test_real_images_that_generators_share_are_kept_once() -> None:
    kept = reservoir(_sharing_reals(), 60, seed=1)
    assert len(set(kept.ids)) == len(kept)
    # 20 real images are all there are, for 30 places.
    assert Counter(kept.labels.tolist()) == {0: 20, 1: 30}


def test_all_squares_of_an_image_are_kept_together() -> None:
    squares = [
        replace(
            images.take(np.repeat(np.arange(40), 3)),
            ids=[f"{name}/{k}" for name in images.ids for k in range(3)],
            views=3,
        )
        for images in EARLIER
    ]
    kept = reservoir(squares, 12, seed=3)
    by_image = Counter(name.partition("/")[0] for name in kept.ids)
    assert by_image == dict.fromkeys(reservoir(EARLIER, 12, seed=3).ids, 3)


@pytest.mark.parametrize(("ratio", "times"), [(1.0, 32), (0.5, 16), (2.0, 64), (0.1, 12)])
def test_kept_images_come_again_until_the_ratio_is_reached_and_once_at_the_least(ratio: float, times: int) -> None:
    new, kept = toy_images(32, seed=1, period=4), toy_images(12, seed=2)
    shown = replay.replayed(new, kept, ratio)
    counts = Counter(shown.ids)
    assert all(counts[name] == 1 for name in new.ids)
    again = [counts[name] for name in kept.ids]
    assert sum(again) == times
    assert max(again) - min(again) <= 1
    assert np.array_equal(shown.labels, np.concatenate([new.labels, np.resize(kept.labels, times)]))
    assert np.array_equal(shown.pixels[32:44], kept.pixels[:])


def test_it_is_the_training_on_both(copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path) -> None:
    step = third_step(data)
    assert step.oracle_train is not None
    replaying, by_hand = copies(), copies()
    replay.adapt(replay.Config(images=20, recipe=QUICK), replaying, step, context(tmp_path / "replay", 6))
    both = together([step.oracle_train, *[reservoir(step.earlier, 20, 6)] * 2])
    shown = both.take(np.arange(64))  # 32 new ones, 20 kept ones, and 12 of these again
    learn(Naive(recipe=QUICK), by_hand, step, context(tmp_path / "hand", 6), images=shown)
    assert same(replaying, by_hand)

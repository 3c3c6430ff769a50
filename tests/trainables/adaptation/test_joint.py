"""The upper bound of a sequence: every generator so far, again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.trainables.adaptation.sequences import same, third_step
from tests.trainables.toy import QUICK, context, toy_images
from trainables.adaptation import joint, naive
from trainables.contract import AdaptationData
from trainables.data.stack import together
from trainables.detector import Detector
from trainables.recipe import Recipe
from trainables.score import log_odds


def test_it_is_the_training_on_all_images_of_all_generators(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    step = third_step(data)
    assert step.oracle_train is not None
    everything = together([step.oracle_train, *step.earlier])
    assert len(everything) == 32 + 24 + 24
    assert Counter(everything.labels.tolist()) == {0: 40, 1: 40}
    jointly, by_hand = copies(), copies()
    joint.adapt(joint.Config(recipe=QUICK), jointly, step, context(tmp_path / "joint"))
    alone = replace(step, oracle_train=everything.take(np.arange(80)))
    naive.adapt(naive.Config(recipe=QUICK), by_hand, alone, context(tmp_path / "hand"))
    assert same(jointly, by_hand)


def test_images_that_generators_share_come_once_for_each() -> None:
    images = toy_images(6, seed=1)
    both = together([images, images])
    assert list(both.ids) == [*images.ids, *images.ids]
    assert np.array_equal(both.pixels[6:], images.pixels)


def test_it_knows_earlier_generators_that_naive_forgets(
    copies: Callable[[], Detector], data: AdaptationData, tmp_path: Path
) -> None:
    """The new generator says that the first one's pattern is real; only one of the two was told otherwise."""
    new = toy_images(64, seed=41, period=4)
    contrary = toy_images(64, seed=42)
    contrary = replace(contrary, labels=np.zeros_like(contrary.labels))
    step = replace(
        third_step(data),
        oracle_train=together([new, contrary]),
        oracle_val=toy_images(16, seed=43, period=4),
        earlier=[data.source_train, data.source_train],
    )
    recipe = Recipe(epochs=3, batch=16, learning_rate=5e-3)
    found = {}
    for member in (naive, joint):
        detector = copies()
        member.adapt(member.Config(recipe=recipe), detector, step, context(tmp_path / member.__name__))
        known = data.source_val
        found[member] = ((log_odds(detector, known.pixels) > 0) == (known.labels == 1)).mean()
    assert found[joint] > found[naive] + 0.2

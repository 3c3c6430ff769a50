from collections import Counter

import pytest

from trainables.contract import Split
from trainables.data.splits import Fractions


def test_shares_hold_on_average():
    counts = Counter(Fractions().split_of(f"group {k}") for k in range(20_000))
    for split in Split:
        assert counts[split] / 20_000 == pytest.approx(getattr(Fractions(), split), abs=0.01)


def test_the_split_of_a_name_never_changes():
    named = {name: Fractions().split_of(name).value for name in ("a", "b", "c", "scene-1", "scene-2")}
    assert named == {"a": "few", "b": "train", "c": "train", "scene-1": "adapt", "scene-2": "train"}


def test_a_share_of_nothing_gets_nothing():
    halves = Fractions(train=0.5, val=0, adapt=0, few=0, test=0.5)
    assert {halves.split_of(str(k)) for k in range(200)} == {Split.TRAIN, Split.TEST}

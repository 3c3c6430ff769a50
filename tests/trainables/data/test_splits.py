from __future__ import annotations

import hashlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from trainables.contract import Split
from trainables.data.splits import PRESETS, Fractions

SHARES = {"train": 0.45, "val": 0.10, "adapt": 0.20, "few": 0.05, "test": 0.20}


def _position(name: str) -> float:
    """Where the hash of a name falls, 0-1."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64


def test_shares_hold_on_average():
    counts = Counter(Fractions().splits_of([f"group {k}" for k in range(20_000)]))
    for split in Split:
        assert counts[split] / 20_000 == pytest.approx(getattr(Fractions(), split), abs=0.01)


def test_the_split_of_a_name_never_changes():
    named = {name: Fractions().split_of(name).value for name in ("a", "b", "c", "scene-1", "scene-2")}
    assert named == {"a": "few", "b": "train", "c": "train", "scene-1": "adapt", "scene-2": "train"}


@given(st.lists(st.text(), max_size=20))
@settings(deadline=None)
def test_a_name_goes_where_its_hash_falls_among_the_shares_one_after_the_other(names):
    def of(name: str) -> str:
        upper = 0.0
        for split, share in SHARES.items():
            upper += share
            if _position(name) < upper:
                return split
        return "test"

    assert Fractions().splits_of(names) == [Split(of(name)) for name in names]
    assert [Fractions().split_of(name) for name in names] == Fractions().splits_of(names)


def test_a_share_of_nothing_gets_nothing():
    halves = Fractions(train=0.5, val=0, adapt=0, few=0, test=0.5)
    assert {halves.split_of(str(k)) for k in range(200)} == {Split.TRAIN, Split.TEST}


def test_a_part_is_divided_in_proportion_to_the_shares():
    names = [f"group {k}" for k in range(20_000)]
    counts = Counter(Fractions().splits_of(names, (Split.ADAPT, Split.TRAIN, Split.FUSION)))
    assert set(counts) == {Split.TRAIN, Split.ADAPT}
    assert counts[Split.TRAIN] / 20_000 == pytest.approx(45 / 65, abs=0.01)


def test_the_order_in_which_splits_are_given_does_not_matter():
    names = [str(k) for k in range(100)]
    one, other = (Split.TRAIN, Split.VAL, Split.TEST), (Split.TEST, Split.TRAIN, Split.VAL)
    assert Fractions().splits_of(names, one) == Fractions().splits_of(names, other)


def test_where_no_split_has_a_share_the_first_gets_all():
    assert Fractions().split_of("a", (Split.FUSION,)) == Split.FUSION
    assert Fractions(train=1, val=0, adapt=0, few=0, test=0).split_of("a", (Split.TEST, Split.VAL)) == Split.TEST


def test_a_preset_is_a_published_protocol_by_name():
    shares = Fractions.model_validate("deepfeaturex")
    assert (shares.train + shares.val, shares.fusion, shares.test) == pytest.approx((0.4, 0.4, 0.2))
    assert shares == Fractions.model_validate(PRESETS["deepfeaturex"])
    with pytest.raises(ValidationError, match=r"no such preset(.|\n)*did you mean 'deepfeaturex'"):
        Fractions.model_validate("deepfeature")


def test_shares_sum_to_one():
    with pytest.raises(ValidationError, match=r"must sum to 1\n +found: 1.1"):
        Fractions(test=0.3)

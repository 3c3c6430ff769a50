from __future__ import annotations

import pytest
from pydantic import ValidationError

from trainables.contract import Split
from trainables.data.choosing import Choosing

DIVIDED = Choosing.model_validate({"divide": {"train": ["train", "val"], "test": ["adapt", "test"]}})
ALL = tuple(Split)
NONE = frozenset[str]()


@pytest.mark.parametrize(
    ("part", "parts", "expected"),
    [
        ("", "", ALL),
        ("", "train test", ALL),
        ("train", "train test", (Split.TRAIN, Split.VAL, Split.ADAPT, Split.FEW, Split.FUSION)),
        ("train", "train val test", (Split.TRAIN, Split.ADAPT, Split.FEW, Split.FUSION)),
        ("train", "train val adapt few test", (Split.TRAIN, Split.FUSION)),
        ("val", "train val", (Split.VAL,)),
        ("test", "test", (Split.TEST,)),
        ("adapt", "adapt", (Split.ADAPT,)),
        ("fusion", "train fusion", (Split.FUSION,)),
    ],
)
def test_the_splits_of_a_part(part, parts, expected):
    assert Choosing().splits_of(part, frozenset(parts.split())) == expected


def test_divide_is_taken_at_its_word():
    assert DIVIDED.splits_of("train", frozenset({"train", "val"})) == (Split.TRAIN, Split.VAL)
    assert DIVIDED.splits_of("test", NONE) == (Split.ADAPT, Split.TEST)
    assert DIVIDED.splits_of("val", NONE) == (Split.VAL,)


def test_no_image_is_smaller_than_the_smallest_and_larger_than_the_largest():
    with pytest.raises(ValidationError, match="smallest: 65, largest: 64"):
        Choosing(smallest=65, largest=64)
    assert Choosing(smallest=64, largest=64).smallest == 64


@pytest.mark.parametrize(
    "given",
    [
        {"divide": {"train": []}},
        {"divide": {"train": ["tset"]}},
        {"divide": {"adapt": ["train"]}},
        {"limit": 0},
        {"families": {"x": "vae"}},
        {"unusable": "replace"},
    ],
)
def test_what_makes_no_sense_is_refused(given):
    with pytest.raises(ValidationError):
        Choosing.model_validate(given)

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.plan.cells import Cell, CellId, Digest, Reading, Stage, Tags, canonical, combine, digest

TAGS = Tags(detector="cnn", source="tconv", target="nearest", adaptation="dann", seed=3)
CELL = Cell(
    stage=Stage.ADAPT,
    method="dann",
    params={"weight": 1.0, "recipe": {"epochs": 2}},
    needs=(CellId("parent"),),
    data=Digest("images"),
    tags=TAGS,
)


def test_a_cells_id_is_fixed_for_ever():
    assert CELL.id == "37f5efa6ecefa85f2622"


@pytest.mark.parametrize(
    "changes",
    [
        {"stage": Stage.TRAIN},
        {"method": "coral"},
        {"params": {"weight": 1.5, "recipe": {"epochs": 2}}},
        {"params": {"weight": 1.0, "recipe": {"epochs": 3}}},
        {"needs": ()},
        {"needs": (CellId("other"),)},
        {"data": Digest("others")},
        {"data": None},
        {"version": 2},
    ],
)
def test_everything_that_determines_the_result_changes_the_id(changes):
    assert replace(CELL, **changes).id != CELL.id


def test_words_do_not_change_the_id():
    renamed = replace(CELL, tags=replace(TAGS, detector="my detector", adaptation="strong dann"))
    assert renamed.id == CELL.id
    assert renamed == CELL
    read = Reading(role="source", fakes={"tconv": 3}, reals={"phone": 2}, splits=("train",), digest=Digest("images"))
    assert replace(CELL, reads=(read,)).id == CELL.id


def test_the_order_of_parameters_does_not_change_the_id():
    assert replace(CELL, params={"recipe": {"epochs": 2}, "weight": 1.0}).id == CELL.id


def test_names_read_like_paths():
    assert CELL.name == "adapt/cnn/tconv/nearest/dann/seed3"
    score = replace(CELL, stage=Stage.SCORE, tags=replace(TAGS, test="bilinear", variant="jpeg"))
    assert score.name == "score/cnn/tconv/nearest/dann/seed3/bilinear/jpeg"
    assert replace(CELL, stage=Stage.TRAIN).name == "train/cnn/tconv/seed3"
    nowhere = Tags(detector="", source="", target="", adaptation="", seed=0)
    assert replace(CELL, stage=Stage.AUDIT, tags=nowhere).name == "audit"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_different_values_have_different_digests(first, second):
    assert (digest(first) == digest(second)) == (canonical(first) == canonical(second))


def test_combining_digests_ignores_their_order_but_not_their_number():
    assert combine(["a", "b"]) == combine(["b", "a"])
    assert combine(["a", "a"]) != combine(["a"])

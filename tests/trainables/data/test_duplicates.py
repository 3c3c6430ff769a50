from __future__ import annotations

import io
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from trainables.data import duplicates
from trainables.data.duplicates import COLOUR, NEAR, components, merged_groups, near_duplicates
from trainables.indexing.index import index_folder


def _frame(rows: list[tuple[int | None, int, int, int]]) -> pd.DataFrame:
    """Rows of a hash (None: blank) and three mean colours."""
    hashes = ["" if value is None else f"{value:016x}" for value, *_ in rows]
    colours = {name: [float(row[k + 1]) for row in rows] for k, name in enumerate(("red", "green", "blue"))}
    return pd.DataFrame({"perceptual": pd.Series(hashes, dtype="str"), **colours})


def _near(one: tuple[int | None, int, int, int], other: tuple[int | None, int, int, int]) -> bool:
    if one[0] is None or other[0] is None:
        return False
    few_bits = (one[0] ^ other[0]).bit_count() <= NEAR
    return few_bits and all(abs(a - b) <= COLOUR for a, b in zip(one[1:], other[1:], strict=True))


def _parts(count: int, links: list[tuple[int, int]]) -> set[frozenset[int]]:
    """What links connect, by merging sets one link at a time."""
    part = {k: {k} for k in range(count)}
    for one, other in links:
        if part[one] is not part[other]:
            part[one] |= part[other]
            for k in part[other]:
                part[k] = part[one]
    return {frozenset(members) for members in part.values()}


def _parts_of(names: object) -> set[frozenset[int]]:
    return {frozenset(places) for places in pd.Series(range(len(names))).groupby(np.asarray(names)).agg(list)}


_SCENES = st.sampled_from([0, 0xFFFF, 0x0123456789ABCDEF, 2**64 - 1])
_FLIPS = st.lists(st.integers(0, 63), max_size=4).map(lambda bits: sum(1 << bit for bit in set(bits)))
_HASHES = st.builds(lambda scene, flips: scene ^ flips, _SCENES, _FLIPS)
_LEVELS = st.integers(100, 120) | st.sampled_from([0, 255])
_ROWS = st.lists(st.tuples(st.none() | _HASHES, _LEVELS, _LEVELS, st.just(90)), max_size=40)


@given(_ROWS, st.sampled_from([1, duplicates._HELD]))
@settings(deadline=None)
def test_groups_are_those_of_comparing_every_image_with_every_other(rows, held):
    every = [(i, j) for i, j in combinations(range(len(rows)), 2) if _near(rows[i], rows[j])]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_HELD", held)
        pairs = near_duplicates(_frame(rows))
    assert {tuple(sorted(pair)) for pair in pairs.tolist()} <= set(every)
    assert _parts_of(components(len(rows), pairs)) == _parts(len(rows), every)
    assert len(pairs) == len(rows) - len(_parts(len(rows), every))


def test_many_images_of_one_hash_need_no_comparison_of_all_with_all():
    rng = np.random.default_rng(0)
    colours = rng.integers(60, 70, (60_000, 3))  # all near each other: 1.8e9 pairs
    flips = rng.integers(0, 2, (60_000, 3)) @ (1 << np.array([5, 21, 50]))
    frame = _frame([(int(bits), *map(int, colour)) for bits, colour in zip(flips, colours, strict=True)])
    pairs = near_duplicates(frame)
    assert len(pairs) < len(frame)
    assert len(np.unique(components(len(frame), pairs))) == 1


def test_three_bits_and_eight_grey_levels_are_near_and_no_more():
    scene = (0xABCD << 40, 100, 100, 100)
    other = {
        "three bits": (scene[0] ^ (1 | 1 << 20 | 1 << 63), 100, 100, 100),
        "four bits": (scene[0] ^ (1 | 1 << 20 | 1 << 40 | 1 << 63), 100, 100, 100),
        "eight levels": (scene[0], 108, 92, 100),
        "nine levels": (scene[0], 100, 100, 109),
    }
    found = {name: len(near_duplicates(_frame([scene, row]))) for name, row in other.items()}
    assert found == {"three bits": 1, "four bits": 0, "eight levels": 1, "nine levels": 0}


@pytest.mark.parametrize("rows", [[], [(None, 0, 0, 0), (None, 0, 0, 0)], [(1, 0, 0, 0)]])
def test_where_there_is_nothing_to_compare_there_are_no_pairs(rows):
    assert near_duplicates(_frame(rows)).shape == (0, 2)


def _reencoded(image: Image.Image) -> Image.Image:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=70)
    return Image.open(content)


def _resized(image: Image.Image) -> Image.Image:
    small = image.resize((round(image.width * 0.7), round(image.height * 0.7)), Image.Resampling.BICUBIC)
    return small.resize(image.size, Image.Resampling.BICUBIC)


def _brighter(image: Image.Image) -> Image.Image:
    return image.point(lambda level: min(255, level + 3))


@pytest.fixture(scope="module")
def copies(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The index of a folder of photographs, and of copies of each that were changed in three ways."""
    root = tmp_path_factory.mktemp("copies")
    changes = {"asis": lambda image: image, "reencoded": _reencoded, "resized": _resized, "brighter": _brighter}
    for name, change in changes.items():
        (root / f"fake/{name}").mkdir(parents=True)
        for k, file in enumerate(sorted((small_data / "real/compact").iterdir())):
            change(Image.open(file).convert("RGB")).save(root / f"fake/{name}/{k}.png")
    (root / "real/none").mkdir(parents=True)
    Image.new("RGB", (64, 64), "red").save(root / "real/none/0.png")
    return index_folder(root).frame


@pytest.mark.parametrize("change", ["reencoded", "resized", "brighter"])
def test_changed_copies_of_photographs_are_found(copies, change):
    rows = copies[copies["generator"].isin(["asis", change])].reset_index(drop=True)
    number = components(len(rows), near_duplicates(rows))
    stems = rows["path"].str.extract(r"/(\d+)\.png")[0]
    originals = stems[rows["generator"] == "asis"]
    found = pd.Series(number).groupby(stems).nunique()[originals] == 1
    assert len(found) > 20
    assert found.mean() > 0.95
    assert pd.Series(stems.to_numpy()).groupby(number).nunique().max() == 1


def test_different_photographs_are_not_copies(small_data):
    assert len(near_duplicates(index_folder(small_data).frame)) == 0


_NAMES = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from(["", "", "a", "b", "c"]), st.sampled_from("klmnopqrst")), max_size=12
)


@given(_NAMES, st.data())
@settings(max_examples=60, deadline=None)
def test_a_group_is_what_names_pixels_and_pairs_connect(rows, data):
    place = st.integers(0, max(0, len(rows) - 1))
    pairs = data.draw(st.lists(st.tuples(place, place), max_size=4)) if rows else []
    frame = pd.DataFrame(rows, columns=["tree", "group", "pixels"]).astype({"group": "str", "pixels": "str"})
    links = list(pairs)
    for i, j in combinations(range(len(rows)), 2):
        named = rows[i][1] != "" and rows[i][:2] == rows[j][:2]
        links += [(i, j)] if named or rows[i][2] == rows[j][2] else []
    names = merged_groups(frame, np.array(pairs, np.int64).reshape(-1, 2))["group"]
    assert _parts_of(names) == _parts(len(rows), links)


def test_a_group_has_the_least_name_that_was_declared_else_its_least_pixel_hash():
    rows = [(0, "", "p3"), (0, "", "p2"), (0, "scene 2", "p5"), (0, "scene 1", "p6"), (0, "", "p1")]
    frame = pd.DataFrame(rows, columns=["tree", "group", "pixels"]).astype({"group": "str", "pixels": "str"})
    groups = merged_groups(frame, np.array([[0, 1], [2, 3]]))
    assert groups["group"].tolist() == groups["drawn"].tolist() == ["p2", "p2", "scene 1", "scene 1", "p1"]


def test_one_name_in_two_folders_is_two_groups_whose_split_is_drawn_alike():
    rows = [(0, "scene", "p1"), (1, "scene", "p3"), (1, "scene", "p2")]
    frame = pd.DataFrame(rows, columns=["tree", "group", "pixels"]).astype({"group": "str", "pixels": "str"})
    groups = merged_groups(frame, np.empty((0, 2), np.int64))
    assert groups["group"].tolist() == ["scene p1", "scene p2", "scene p2"]
    assert groups["drawn"].tolist() == ["scene", "scene", "scene"]

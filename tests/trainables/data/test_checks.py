from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.trainables.data.indexed import index_of, row
from trainables.data.checks import LISTED, listing, refuse_shared_images, shown
from trainables.errors import InputError


def _frame(*images: dict[str, object]) -> pd.DataFrame:
    return index_of(list(images)).frame.assign(folder=0)


def test_a_listing_is_cut_and_says_how_many_more_there_are():
    lines = [f"line {k}" for k in range(30)]
    assert listing(lines[:2], 2) == "\n  line 0\n  line 1"
    assert listing(lines[:LISTED], LISTED).count("\n") == LISTED
    assert listing(lines, 30).endswith("\n  line 19\n  and 10 more")


def test_a_file_is_named_in_full_where_there_are_several_folders():
    rows = pd.DataFrame({"folder": [1, 0], "path": ["a.png", "b.png"]})
    assert shown(rows, [Path("/x")]) == ["a.png", "b.png"]
    assert shown(rows, [Path("/x"), Path("/y")]) == ["/y/a.png", "/x/b.png"]


def test_an_image_in_three_generators_is_two_pairs_and_copies_in_one_generator_are_none():
    images = [row(f"fake/{name}.png", shows="it") for name in ("a/0", "a/1", "b/0", "c/0", "c/1")]
    with pytest.raises(InputError, match="2 files show images of other generators") as error:
        refuse_shared_images(_frame(*images), [Path("/x")])
    assert "fake/a/0.png (a) and fake/b/0.png (b)\n  fake/a/0.png (a) and fake/c/0.png (c)" in str(error.value)
    refuse_shared_images(_frame(*images[:2]), [Path("/x")])


def test_a_long_list_of_shared_images_is_cut():
    images = [row(f"fake/{name}/{k:02}.png", shows=f"it {k}") for name in "ab" for k in range(30)]
    with pytest.raises(InputError, match="30 files show") as error:
        refuse_shared_images(_frame(*images), [Path("/x")])
    assert str(error.value).count(" and fake/b/") == LISTED
    assert "and 10 more" in str(error.value)


def test_images_that_two_real_sources_share_are_no_problem_until_a_fake_is_among_them():
    reals = [row(f"real/{name}/0.png", shows="it") for name in "ab"]
    refuse_shared_images(_frame(*reals), [Path("/x")])
    with pytest.raises(InputError, match="2 files show"):
        refuse_shared_images(_frame(*reals, row("fake/c/0.png", shows="it")), [Path("/x")])

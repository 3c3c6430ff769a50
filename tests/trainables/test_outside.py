from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from trainables.errors import InputError
from trainables.outside import ScoreTable, looked_up, read_scores

KNOWN = pd.DataFrame(
    {
        "digest": ["d0", "d1", "d2", "d3", "d3"],
        "path": ["real/a.png", "real/b.png", "fake/gan/a.png", "fake/gan/c.png", "copy/c.png"],
    }
)


def table(folder: Path, rows: dict[str, Any], ending: str = ".csv", **given: Any) -> ScoreTable:
    """A file of these rows, and what a study says of it."""
    frame, file = pd.DataFrame(rows), folder / f"scores{ending}"
    frame.to_csv(file, index=False) if ending == ".csv" else frame.to_parquet(file, index=False)
    return ScoreTable(file=file, **given)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_probabilities_are_taken_as_they_are(tmp_path: Path, ending: str) -> None:
    rows = {"image": ["./real/a.png", "fake\\gan\\c.png"], "score": [0.25, 1.0], "more": [1, 2]}
    assert read_scores(table(tmp_path, rows, ending)) == {"real/a.png": 0.25, "fake/gan/c.png": 1.0}
    low = read_scores(table(tmp_path, rows, ending, fake="low"))
    assert low == {"real/a.png": 0.75, "fake/gan/c.png": 0.0}


def test_logits_become_probabilities_without_overflow(tmp_path: Path) -> None:
    logits = [-1000.0, -3.0, 0.0, 2.5, 1000.0]
    rows = {"name": list("abcde"), "llr": logits}
    named = {"image": "name", "score": "llr", "scale": "logit"}
    found = read_scores(table(tmp_path, rows, **named))
    assert list(found.values()) == pytest.approx(expit(logits))
    turned = read_scores(table(tmp_path, rows, **named, fake="low"))
    assert list(turned.values()) == pytest.approx(expit(-np.array(logits)))


@pytest.mark.parametrize(
    ("rows", "given", "told"),
    [
        ({"image": ["a"], "p": [0.5]}, {}, "no such column"),
        ({"image": ["a", "b"], "score": ["0.5", "high"]}, {}, "line 3.*not a score"),
        ({"image": ["a", "b"], "score": [0.5, math.inf]}, {}, "not a score"),
        ({"image": list("abcdefg"), "score": [0.5, 2, 2, 2, 2, 2, -1]}, {}, r"\(6 images\)(.|\n)*b, c, d, e, f, …"),
        ({"image": ["a", "b", "a"], "score": [0.5, 0.6, 0.7]}, {}, r"disagree about an image \(1 image\)"),
        ({"image": ["a", "b"], "score": [0.5, 0.5]}, {}, "all images have one score"),
        ({"image": [], "score": []}, {}, "no rows"),
    ],
)
def test_tables_that_say_nothing_or_two_things_are_refused(
    tmp_path: Path, rows: dict[str, Any], given: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        read_scores(table(tmp_path, rows, **given))


def test_a_row_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    found = read_scores(table(tmp_path, {"image": ["a", "b", "a"], "score": [0.5, 0.6, 0.5]}))
    assert found == {"a": 0.5, "b": 0.6}


def test_images_are_found_by_digest_by_path_and_by_a_file_name_of_their_own() -> None:
    scores = {"d0": 0.1, "b.png": 0.2, "fake/gan/a.png": 0.3, "c.png": 0.4}
    assert looked_up(scores, KNOWN, KNOWN).tolist() == [0.1, 0.2, 0.3, 0.4, 0.4]
    assert looked_up(scores, KNOWN.iloc[[2, 0]], KNOWN).tolist() == [0.3, 0.1]


def test_a_copy_has_the_score_of_its_content() -> None:
    for name in ("fake/gan/c.png", "copy/c.png", "c.png", "d3"):
        assert looked_up({name: 0.4, "d0": 0.5}, KNOWN.iloc[[0, 3]], KNOWN).tolist() == [0.5, 0.4]
    with pytest.raises(InputError, match="copies of one image have different scores"):
        looked_up({"fake/gan/c.png": 0.4, "copy/c.png": 0.5}, KNOWN.iloc[[3]], KNOWN)


def test_a_name_that_several_images_have_is_refused() -> None:
    with pytest.raises(InputError, match="1 name that several images have") as told:
        looked_up({"a.png": 0.1, "d1": 0.2}, KNOWN.iloc[[1]], KNOWN)
    assert told.value.value == "a.png"


def test_missing_images_are_counted_and_named() -> None:
    with pytest.raises(InputError, match="2 of 3 images have no score") as told:
        looked_up({"d0": 0.1, "elsewhere/x.png": 0.2}, KNOWN.iloc[:3], KNOWN)
    assert told.value.value == "real/b.png, fake/gan/a.png"
    assert "1 of the table's 2 rows name no image" in str(told.value)

"""Folders of images: made, shown, indexed."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from tests.orchestrator.cli.conftest import call


@pytest.fixture
def folder(images, tmp_path):
    """A small folder of a user's own images, one of them none."""
    for path in ("real/compact", "fake/tconv"):
        (tmp_path / "mine" / path).mkdir(parents=True)
        for file in sorted((images / path).iterdir())[:6]:
            shutil.copy(file, tmp_path / "mine" / path)
    (tmp_path / "mine/fake/tconv/text.png").write_text("not an image")
    return tmp_path / "mine"


def test_show_counts_images_and_names_unusable_files(folder):
    before = sorted(folder.parent.rglob("*"))
    result = call("data", "show", folder)
    rows = [line.split() for line in result.stdout.splitlines()]

    assert result.exit_code == 0
    assert rows[0] == ["label", "family", "generator", "train", "val", "adapt", "few", "test", "unusable"]
    assert [(row[0], row[2], sum(map(int, row[3:8])), row[8]) for row in rows[1:3]] == [
        ("real", "compact", 6, "0"),
        ("fake", "tconv", 6, "1"),
    ]
    assert ["fake/tconv/text.png", "not", "an", "image"] in rows
    assert sorted(folder.parent.rglob("*")) == before


def test_index_writes_one_row_a_file(folder, tmp_path):
    result = call("data", "index", folder)

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == str(tmp_path / "mine.index.parquet")
    index = pd.read_parquet(tmp_path / "mine.index.parquet")
    assert len(index) == 13
    assert list(index[index["problem"] != ""]["path"]) == ["fake/tconv/text.png"]


def test_a_folder_of_another_shape_is_refused(tmp_path):
    result = call("data", "show", tmp_path)

    assert result.exit_code == 2
    assert "real/<source>/" in result.stderr


def test_making_a_benchmark_twice_makes_it_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = call("data", "make", "smoke"), call("data", "make", "smoke")

    assert first.stdout == f"800 images made: {tmp_path}/data/smoke\n"
    assert second.stdout == f"800 images were there already: {tmp_path}/data/smoke\n"


def test_an_unknown_preset_or_a_folder_that_is_taken_is_refused(folder):
    unknown, taken = call("data", "make", "smoek", folder.parent / "new"), call("data", "make", "smoke", folder)

    assert (unknown.exit_code, taken.exit_code) == (2, 2)
    assert "did you mean 'smoke'?" in unknown.stderr
    assert "not empty" in taken.stderr
    assert not (folder.parent / "new").exists()

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
    shutil.copy(next((folder / "real/compact").iterdir()), folder / "real/compact/copy.jpg")
    before = sorted(folder.parent.rglob("*"))
    result = call("data", "show", folder)
    rows = [line.split() for line in result.stdout.splitlines()]

    assert result.exit_code == 0
    assert rows[0] == ["layout:", "generic"]
    heads = next(row for row in rows if row[:1] == ["label"])
    assert heads == ["label", "generator", "images", "unusable", "format", "pixels", "a", "side"]
    assert ["real", "compact", "7", "0", "JPEG", "64-64"] in rows
    assert ["fake", "tconv", "6", "1", "JPEG", "64-64"] in rows
    assert ["fake/tconv/text.png", "not", "an", "image"] in rows
    assert any(
        row[0].startswith("real/compact/") and row[1].startswith("real/compact/") for row in rows if len(row) == 2
    )
    assert sorted(folder.parent.rglob("*")) == before


def test_show_of_a_study_says_what_it_takes(folder, study, tmp_path):
    left_out = {"root": str(folder), "unusable": "skip", "limit": 5}
    result = call("data", "show", study(data=left_out))
    rows = [line.split() for line in result.stdout.splitlines()]

    assert result.exit_code == 0, result.output
    assert rows[0] == ["label", "family", "generator", "train", "val", "adapt", "few", "fusion", "test", "unusable"]
    assert [(row[0], row[2], sum(map(int, row[3:9]))) for row in rows[1:3]] == [
        ("real", "compact", 5),
        ("fake", "tconv", 5),
    ]
    assert not (tmp_path / "results/studies").exists()


def test_index_writes_one_row_a_file(folder, tmp_path):
    result = call("data", "index", folder)

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == str(tmp_path / "mine.index.parquet")
    assert "reading images: 13, " in result.stderr
    index = pd.read_parquet(tmp_path / "mine.index.parquet")
    assert len(index) == 13
    assert list(index[index["problem"] != ""]["path"]) == ["fake/tconv/text.png"]
    assert "reading images" not in call("data", "index", folder).stderr


def test_a_layout_is_given_as_in_a_study(folder, tmp_path):
    flat = "{kind: flat, generator: mine, label: fake}"
    result = call("data", "index", folder / "real/compact", tmp_path / "flat.parquet", "--layout", flat)

    assert result.exit_code == 0, result.output
    index = pd.read_parquet(tmp_path / "flat.parquet")
    assert (set(index["generator"]), set(index["label"])) == ({"mine"}, {1})
    table = "path,label,generator\nfake/tconv/text.png,0,cats\n"
    (folder / "list.csv").write_text(table)
    shown = call("data", "show", folder, "--layout", "{kind: manifest, table: list.csv, fake_is: 0}")
    assert ["fake", "cats", "0", "1"] in [line.split() for line in shown.stdout.splitlines()]


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        ("flatt", "did you mean 'flat'?"),
        ("{kind: flat, label: 2}", "--layout: label"),
        ("{kind: flat, colour: red}", "unknown key"),
        ("{kind: flat", "not a layout"),
        ("[flat]", "must be a name, or a mapping"),
    ],
)
def test_a_layout_that_is_none_is_refused(folder, layout, said):
    result = call("data", "show", folder, "--layout", layout)

    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_folder_of_no_known_layout_is_refused(tmp_path):
    (tmp_path / "nothing").mkdir()
    result = call("data", "show", tmp_path / "nothing")

    assert result.exit_code == 2
    assert "real/<source>/" in result.stderr


def test_a_study_says_itself_which_layouts_it_reads(study):
    result = call("data", "show", study(), "--layout", "flat")

    assert (result.exit_code, "leave it out" in result.stderr) == (2, True)


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

"""P(fake) of a user's own files with a trained cell."""

from __future__ import annotations

import csv
import io
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from tests.orchestrator.cli.conftest import call
from tests.trainables.toy import toy_detector
from trainables.checkpoint import load_detector, save_detector
from trainables.detector import as_input

TRAINED = "train/residual_cnn/tconv/seed0"
ADAPTED = "adapt/residual_cnn/tconv/bilinear/recalibrate/seed0"


@pytest.fixture
def cells(finished):
    """Ids by name of the finished study's cells."""
    return {c["name"]: c["id"] for c in json.loads(call("plan", finished[0], "--json").stdout)["cells"]}


@pytest.fixture
def photos(images, tmp_path):
    """Three images, of which one is larger than the detector's crop, and four files that are no usable image."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    source = sorted((images / "fake/tconv").iterdir())[0]
    shutil.copy(source, folder / "fake.jpg")
    shutil.copy(sorted((images / "real/compact").iterdir())[0], folder / "more" / "real.jpg")
    pixels = np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "large.png")
    (folder / "text.png").write_text("not an image")
    (folder / "empty.jpg").touch()
    (folder / "cut.jpg").write_bytes(source.read_bytes()[:500])
    Image.new("RGB", (1, 1)).save(folder / "pixel.png")
    (folder / "notes.txt").write_text("left alone")
    return folder


def predicted(*words):
    result = call("predict", *words, "--json")
    assert result.exit_code == 0, result.output
    return {row["path"]: row for row in json.loads(result.stdout)}


def test_the_scores_are_the_detectors_own(finished, cells, photos):
    rows = predicted(cells[ADAPTED], photos, "--study", finished[0])
    id_ = cells[ADAPTED]
    detector, _ = load_detector(finished[0].parent / "results" / "cells" / id_[:2] / id_)

    for name, box in (("fake.jpg", None), ("more/real.jpg", None), ("large.png", (18, 8, 82, 72))):
        image = Image.open(photos / name).crop(box) if box else Image.open(photos / name)
        expected = detector.probability(as_input(np.array(image)[None])).item()
        row = rows[str(photos / name)]
        assert row["p_fake"] == pytest.approx(expected, abs=1e-5)
        assert row["called"] == ("fake" if expected > 0.5 else "real")


def test_unusable_files_are_listed_with_the_reason_and_other_files_left_alone(finished, photos):
    rows = predicted(TRAINED, photos, photos / "absent.jpg", "--study", finished[0])
    problems = {path.removeprefix(f"{photos}/"): row["problem"] for path, row in rows.items() if row["problem"]}

    assert set(problems) == {"text.png", "empty.jpg", "cut.jpg", "pixel.png", "absent.jpg"}
    assert "not an image" in problems["text.png"]
    assert "0 bytes" in problems["empty.jpg"]
    assert "smaller than the crop" in problems["pixel.png"]
    assert "No such file" in problems["absent.jpg"]
    assert all(rows[f"{photos}/{name}"]["p_fake"] is None for name in problems)
    assert len(rows) == 8


def test_the_table_and_the_csv_hold_the_same(finished, photos):
    table = call("predict", TRAINED, photos, "--study", finished[0]).stdout
    rows = list(csv.DictReader(io.StringIO(call("predict", TRAINED, photos, "--csv", "--study", finished[0]).stdout)))

    assert len(rows) == 7
    for row in rows:
        if row["p_fake"]:
            assert f"{float(row['p_fake']):.4f}  {row['called']}" in table
        assert row["path"] in table
        assert row["problem"] in table


def test_a_cell_can_be_named_by_id_beginning_name_or_folder(finished, cells, photos):
    id_, results = cells[TRAINED], finished[0].parent / "results"
    image = photos / "fake.jpg"

    ways = [
        (id_, image, "--storage", results),
        (id_[:8], image, "--storage", results),
        (TRAINED, image, "--study", finished[0]),
        (results / "cells" / id_[:2] / id_, image),
    ]

    assert len({predicted(*words)[str(image)]["p_fake"] for words in ways}) == 1


def test_results_beside_one_are_found_without_an_option(finished, photos, monkeypatch):
    monkeypatch.chdir(finished[0].parent)

    assert str(photos / "fake.jpg") in predicted(TRAINED, photos / "fake.jpg")


def test_no_usable_file_gives_exit_code_2(finished, photos, tmp_path):
    (tmp_path / "none").mkdir()
    bad = call("predict", TRAINED, photos / "text.png", "--study", finished[0])
    none = call("predict", TRAINED, tmp_path / "none", "--study", finished[0])

    assert (bad.exit_code, none.exit_code) == (2, 2)
    assert "not an image" in bad.stdout
    assert "no image was found" in none.stdout


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("train/residual_cnn/tcnv/seed0", ["no cell of this id or name", TRAINED]),
        ("", ["cells are meant"]),
        (
            "score/residual_cnn/tconv/tconv/source_only/seed0/bilinear",
            ["`score` has no detector", f"use {TRAINED}"],
        ),
    ],
)
def test_a_cell_that_is_not_one_trained_cell_is_refused(finished, photos, cell, words):
    result = call("predict", cell, photos, "--study", finished[0])

    assert result.exit_code == 2
    for word in words:
        assert word in result.stderr


def test_contradicting_options_and_an_empty_storage_are_refused(finished, photos, tmp_path):
    for words in (["--json", "--csv"], ["--storage", tmp_path, "--study", finished[0]], ["--storage", tmp_path]):
        result = call("predict", TRAINED, photos, *words)
        assert result.exit_code == 2
        assert result.stderr.startswith("error: ")


def test_a_folder_without_a_detector_is_told_what_it_lacks(photos, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    result = call("predict", photos, photos / "fake.jpg")

    assert result.exit_code == 2
    for word in ("this folder holds no detector", "model.json", "model.safetensors", str(photos)):
        assert word in result.stderr


def test_a_detector_that_says_no_number_is_refused(photos, tmp_path):
    detector = toy_detector("residual_cnn")
    torch.nn.init.constant_(detector.head.weight, float("nan"))
    image = {"size": 32, "fit": "resize_crop"}
    save_detector(tmp_path / "broken", detector, {"kind": "residual_cnn", "config": {}, "image": image})
    result = call("predict", tmp_path / "broken", photos / "fake.jpg")

    assert result.exit_code == 2
    assert "P(fake) is not finite" in result.stderr
    assert "nan" not in result.stdout

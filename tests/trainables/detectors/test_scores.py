"""Scores from outside, found for the test images of a manifest."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.written import manifest_of
from trainables.detectors.scores import Config, look_up
from trainables.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One real image under two paths, another one, and a fake."""
    rng = np.random.default_rng(0)
    for name in ("real/camera/a.png", "real/camera/b.png", "fake/gan/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(tmp_path / name)
    shutil.copy(tmp_path / "real/camera/a.png", tmp_path / "real/camera/copy.png")
    return tmp_path


def table(folder: Path, **scores: float) -> Config:
    file = folder / "scores.csv"
    file.write_text("image,score\n" + "".join(f"{name}.png,{score}\n" for name, score in scores.items()))
    return Config(file=file)


@pytest.mark.parametrize("named", ["a", "copy"])
def test_an_image_is_found_by_any_of_the_files_that_hold_it(folder: Path, named: str) -> None:
    manifest = manifest_of(folder)
    assert len(manifest.usable) == 3  # the copy counts once
    found = look_up(table(folder, **{named: 0.125, "b": 0.25, "c": 1.0}), manifest, ["gan", "camera"])
    by_path = manifest.frame.set_index("path")["digest"]
    expected = {"real/camera/a.png": 0.125, "real/camera/b.png": 0.25, "fake/gan/c.png": 1.0}
    assert found == {by_path[path]: score for path, score in expected.items()}


def test_images_of_other_sets_need_no_score(folder: Path) -> None:
    manifest = manifest_of(folder)
    assert list(look_up(table(folder, c=0.5, b=0.75), manifest, ["gan"]).values()) == [0.5]
    with pytest.raises(InputError, match="1 of 3 images have no score"):
        look_up(table(folder, c=0.5, b=0.75), manifest, ["gan", "camera"])

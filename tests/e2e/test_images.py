"""Folders of images as people have them: what cannot be used is refused by name, before anything is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from orchestrator.campaign import Campaign
from orchestrator.store.tables import ROWS_FILE, SCORES_FILE
from tests.e2e.refusals import refused
from tests.orchestrator.cli.conftest import call, write_study


def noise(seed: int, size: int = 64) -> Image.Image:
    levels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(levels)


def cut(path: Path) -> None:
    noise(0).save(path)
    path.write_bytes(path.read_bytes()[:-2000])


def animated(path: Path) -> None:
    noise(1).save(path, save_all=True, append_images=[noise(2)])


def grey_16(path: Path) -> None:
    Image.fromarray(np.random.default_rng(3).integers(0, 65536, (64, 64), dtype=np.uint16)).save(path)


UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "fake/tconv/cut.png": (cut, "cut short"),
    "fake/tconv/text.png": (lambda path: path.write_text("not an image"), "not an image"),
    "real/compact/nothing.jpg": (lambda path: path.touch(), "0 bytes"),
    "real/compact/dot.png": (lambda path: noise(0, size=1).save(path), "1x1 pixels"),
}
CONVERTED: dict[str, tuple[Callable[[Path], object], str]] = {
    "fake/tconv/ink.jpg": (lambda path: noise(4).convert("CMYK").save(path), "CMYK to RGB"),
    "fake/tconv/deep.png": (grey_16, "16-bit grey to 8-bit RGB"),
    "real/compact/glass.png": (lambda path: with_alpha().save(path), "alpha laid over white"),
    "real/compact/moves.gif": (animated, "first of 2 frames"),
}


def with_alpha() -> Image.Image:
    image = noise(5).convert("RGBA")
    image.putalpha(128)
    return image


@pytest.fixture
def folder(tmp_path, small_data):
    """A data folder of one's own, to be spoiled."""
    return Path(shutil.copytree(small_data, tmp_path / "mine"))


@pytest.fixture
def study(tmp_path, folder):
    """Writes the tiny study of that folder, with some keys of its data changed."""

    def write(data: dict[str, object] | None = None, **changes: object) -> Path:
        return write_study(tmp_path, folder, **{"data": {"root": str(folder), **(data or {})}, **changes})

    return write


@pytest.mark.parametrize("verb", ["check", "plan", "run"])
@pytest.mark.parametrize("name", UNUSABLE)
def test_a_file_that_is_no_usable_image_is_refused_by_name(folder, study, verb, name):
    make, why = UNUSABLE[name]
    make(folder / name)

    message = refused(verb, study())

    assert "1 file is no usable image" in message
    assert f"{name}: " in message
    assert why in message
    assert "unusable: skip" in message


def test_unusable_files_are_left_out_where_the_study_says_so_and_listed_in_the_report(folder, study):
    for name, (make, _) in UNUSABLE.items():
        make(folder / name)
    file = study({"unusable": "skip"})

    checked = call("check", file)
    result = call("run", file, "--executor", "serial")

    assert "left out, or no usable image: 4" in checked.stdout
    assert (result.exit_code, result.stderr) == (0, "")
    page = Campaign.open(file).report_page.read_text()
    assert "4 files were skipped as unusable" in page
    assert all(name in page for name in UNUSABLE)


def test_images_of_other_kinds_are_converted_and_used(folder, study):
    for name, (make, _) in CONVERTED.items():
        make(folder / name)

    shown = call("data", "show", folder).stdout
    result = call("run", study(), "--executor", "serial")

    rows = {line.split()[0]: line for line in shown.splitlines() if line}
    assert all(how in rows[name] for name, (_, how) in CONVERTED.items())
    assert result.exit_code == 0, result.stderr
    assert "converted on reading: 4" in call("check", study()).stdout


def test_a_test_generator_that_is_not_in_the_data_is_refused(study):
    message = refused("run", study(test_generators=["tconv", "stylegan"]))

    assert "test_generators" in message
    assert "'stylegan'" in message


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "fake/diffusion").mkdir(), ["fake/diffusion", "no images"]),
        (lambda folder: shutil.rmtree(folder / "real"), ["real"]),
        (lambda folder: shutil.copy(folder / "fake/tconv/test-00000.jpg", folder / "fake/bilinear/x.jpg"),
         ["fake/tconv/test-00000.jpg", "fake/bilinear/x.jpg"]),
    ],
    ids=["generator without images", "no real images", "one image in two generators"],
)  # fmt: skip
def test_a_folder_that_no_study_can_use_is_refused(folder, study, spoil, words):
    spoil(folder)

    message = refused("run", study())

    for word in words:
        assert word in message


@pytest.mark.skipif(not Path("/proc/1").exists(), reason="needs a folder that nobody can write to")
@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_storage_that_cannot_be_written_is_refused(study, verb):
    message = refused(verb, study(storage="/proc/1/results"))

    assert message.startswith("error: storage: the storage folder is not writable: ")
    assert "/proc/1/results" in message


def test_weights_that_are_not_there_are_refused(study):
    message = refused("run", study(detectors=[{"kind": "resnet18", "weights": "w.safetensors"}]))

    assert "w.safetensors" in message


def test_an_attack_without_a_budget_leaves_every_score_as_it_was(study):
    attack = {"kind": "pgd", "epsilons": [0, 2], "steps": 2, "images_per_class": 6, "adaptations": ["source_only"]}
    file = study(attacks=[attack], adaptations=[], test_generators=["tconv"])
    assert call("run", file, "--executor", "serial").exit_code == 0

    campaign = Campaign.open(file)
    folders = {record.stage: campaign.place().folder(record.cell) for record in campaign.records()}
    rows = pd.read_parquet(folders["attack"] / ROWS_FILE)
    unharmed = rows[rows["epsilon"] == 0].set_index("image")
    scores = pd.read_parquet(folders["score"] / SCORES_FILE).set_index("image")["score"]

    assert len(unharmed) == 12
    assert (unharmed["adversarial_score"] == unharmed["clean_score"]).all()
    assert (unharmed["linf"] == 0).all()
    assert (rows[rows["epsilon"] == 2]["linf"] > 0).any()
    np.testing.assert_allclose(unharmed["clean_score"], scores[unharmed.index], atol=1e-6)  # batches of other sizes

"""The images of a study: one folder or several, indexed once, and a benchmark that is not made yet."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from orchestrator.images import StudyImages, kept_index
from orchestrator.study.model import DataFolder, Study
from trainables.benchmark.presets import find_preset
from trainables.contract import Split
from trainables.errors import InputError
from trainables.indexing.examine import Facts
from trainables.indexing.examining import Item, examine_in_threads

EACH = 24
"""Images of a generator, so that every split has some."""


def write_images(root: Path, *folders: str) -> Path:
    """A data folder with so many different images in each of these."""
    for folder in folders:
        (root / folder).mkdir(parents=True)
        for number in range(EACH):
            rng = np.random.default_rng([number, *folder.encode()])
            Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(root / folder / f"{number}.png")
    return root


def study_of(*data: dict[str, Any], **changes: Any) -> Study:
    given = {"name": "s", "data": list(data), "detectors": ["residual_cnn"], "train_generators": "all"}
    return Study.model_validate(given | changes)


class Counting:
    """Reads images as threads do, and counts them."""

    def __init__(self) -> None:
        self.read = 0

    def __call__(self, root: Path, items: Sequence[Item]) -> Generator[list[Facts], None, None]:
        self.read += len(items)
        return examine_in_threads(root, items)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two data folders, each with a real source and a generator."""
    root = tmp_path_factory.mktemp("folders")
    return write_images(root / "one", "real/phone", "fake/gan"), write_images(root / "two", "real/reflex", "fake/sd")


@pytest.fixture
def both(folders: tuple[Path, Path]) -> tuple[dict[str, Any], ...]:
    """The data of a study that takes the one whole, and of the other the fakes."""
    one, two = folders
    return {"root": str(one)}, {"root": str(two), "layout": "generic", "generators": ["sd"], "rename": {"sd": "sd14"}}


def test_folders_are_joined_under_the_names_of_the_study(tmp_path, folders, both):
    images = StudyImages(study_of(*both), tmp_path / "indexes")

    assert (images.catalogue.reals, images.catalogue.fakes) == (("phone",), ("gan", "sd14"))
    assert images.manifest.roots == folders
    assert sum(images.catalogue.count(["sd14"], split) for split in Split) == EACH


def test_no_image_is_read_again_for_another_study_of_the_same_folders(tmp_path, both):
    first, second = Counting(), Counting()
    images = StudyImages(study_of(*both), tmp_path / "indexes")
    images.read_with(first)
    assert len(images.manifest.usable) == 3 * EACH
    assert first.read == 4 * EACH

    others = StudyImages(study_of(both[0], splits={"train": 0.65, "adapt": 0.0}), tmp_path / "indexes")
    others.read_with(second)

    assert len(others.manifest.usable) == 2 * EACH
    assert second.read == 0
    assert len(list((tmp_path / "indexes").glob("*.parquet"))) == 2


def test_an_index_belongs_to_a_folder_and_its_layout_whatever_is_taken_of_it(tmp_path):
    def file(**data: Any) -> Path:
        return kept_index(tmp_path, DataFolder.model_validate({"root": "/data/a", **data}))

    assert file() == file(generators=["sd"], limit=5, rename={"sd": "sd14"}, unusable="skip")
    assert len({file(), file(root="/data/b"), file(layout="manifest")}) == 3
    assert file(layout="manifest") != file(layout={"kind": "manifest", "fake_is": "0"})


def test_what_is_not_used_is_told_with_its_folder_where_there_are_several(tmp_path):
    one = write_images(tmp_path / "one", "real/phone", "fake/gan")
    two = write_images(tmp_path / "two", "real/reflex", "fake/sd")
    (two / "fake/sd/broken.png").write_text("no image")
    data = {"root": str(one)}, {"root": str(two), "unusable": "skip"}

    ((alone, why),) = StudyImages(study_of(data[1]), tmp_path / "indexes").unusable
    ((joined, _),) = StudyImages(study_of(*data), tmp_path / "indexes").unusable

    assert "not an image" in why
    assert (alone, joined) == ("fake/sd/broken.png", f"{two}/fake/sd/broken.png")


def test_a_benchmark_that_is_not_there_is_foreseen_and_nothing_is_written(tmp_path):
    images = StudyImages(study_of({"root": str(tmp_path / "smoke"), "benchmark": "smoke"}), tmp_path / "indexes")

    assert images.to_be_made is not None
    assert set(images.catalogue.fakes) == set(find_preset("smoke").generators)
    assert images.catalogue.count(["tconv"], Split.TRAIN) == find_preset("smoke").fakes[Split.TRAIN]
    assert list(tmp_path.iterdir()) == []


def test_what_is_taken_of_a_benchmark_is_not_guessed_before_it_is_there(tmp_path, both):
    benchmark = {"root": str(tmp_path / "smoke"), "benchmark": "smoke"}
    for data in ([{**benchmark, "generators": ["tconv", "compact"]}], [both[0], benchmark]):
        with pytest.raises(InputError, match="known once it is made") as caught:
            _ = StudyImages(study_of(*data), tmp_path / "indexes").catalogue
        assert caught.value.fix == f"orchestrator data make smoke {tmp_path / 'smoke'}"


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="does not exist") as caught:
        _ = StudyImages(study_of({"root": str(tmp_path / "absent")}), tmp_path / "indexes").manifest
    assert str(tmp_path / "absent") in str(caught.value)

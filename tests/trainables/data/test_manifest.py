from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from tests.trainables.data.conftest import noise
from tests.trainables.data.indexed import index_of, row, rows
from trainables.contract import Split
from trainables.data.assemble import assemble
from trainables.data.choosing import Choosing
from trainables.data.manifest import Manifest
from trainables.data.preprocess import Preprocess
from trainables.data.splits import Fractions
from trainables.errors import InputError
from trainables.indexing.decode import READER_VERSION
from trainables.indexing.index import index_folder

ALL_TEST = Fractions(train=0, val=0, adapt=0, few=0, test=1)


def _manifest(folder: Path, splits: Fractions = ALL_TEST, **chosen: object) -> Manifest:
    return assemble([(index_folder(folder), Choosing.model_validate(chosen))], splits)


def test_what_is_saved_is_loaded(folder, tmp_path):
    manifest = _manifest(folder, Fractions(), generators=["coco", "stylegan"])
    manifest.save(tmp_path / "deep" / "index.parquet")
    loaded = Manifest.load(tmp_path / "deep" / "index.parquet")
    assert (loaded.roots, loaded.not_taken) == ((folder,), 4)
    pd.testing.assert_frame_equal(loaded.frame, manifest.frame)
    assert loaded.sets() == manifest.sets()
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["index.parquet"]


def test_another_file_is_no_manifest(folder, tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="not a manifest of images"):
        Manifest.load(tmp_path / "other.parquet")
    frame = _manifest(folder).frame
    frame.attrs = {"roots": [str(folder)], "not_taken": 0, "reader": READER_VERSION + 1}
    frame.to_parquet(tmp_path / "later.parquet")
    with pytest.raises(InputError, match="of another version"):
        Manifest.load(tmp_path / "later.parquet")


def test_a_sets_digest_is_a_hash_of_its_files_whatever_their_names_and_place(folder, tmp_path):
    manifest = _manifest(folder)
    coco = next(images for images in manifest.sets() if images.generator == "coco")
    digests = sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in (folder / "real/coco").iterdir())
    content = "\n".join([f"reader {READER_VERSION}", *digests])
    assert coco.digest == hashlib.sha256(content.encode()).hexdigest()[:20]
    (folder / "real/coco/0.png").rename(folder / "real/coco/zzz.png")
    moved = folder.rename(tmp_path / "moved")
    assert _manifest(moved).sets() == manifest.sets()


def test_a_sets_digest_changes_with_any_of_its_files(folder):
    before = _manifest(folder).sets()
    noise(77).save(folder / "real/coco/0.png")
    after = _manifest(folder).sets()
    changed = [a.generator for a, b in zip(before, after, strict=True) if a.digest != b.digest]
    assert changed == ["coco"]


@pytest.fixture
def manifest() -> Manifest:
    images = [
        *rows("real/own", 6, partner="gan1", part="test"),
        row("real/own/9.png", partner="gan1", part="val"),
        *rows("real/shared", 2, part="test"),
        *rows("fake/gan1", 3, part="test"),
        row("fake/gan1/again.png", shows="fake/gan1/000.png", part="test"),
        row("fake/gan1/broken.png", part="test", width=0, height=0, problem="damaged"),
    ]
    return assemble([(index_of(images), Choosing(unusable="skip"))], Fractions())


def test_the_image_sets_are_reals_first_and_know_their_partner(manifest):
    found = [(s.label, s.generator, s.family, s.split.value, s.count, s.partner) for s in manifest.sets()]
    assert found == [
        (0, "own", "real", "test", 6, "gan1"),
        (0, "own", "real", "val", 1, "gan1"),
        (0, "shared", "real", "test", 2, ""),
        (1, "gan1", "fake", "test", 3, ""),
    ]


def test_the_rows_of_a_set_are_ordered_by_digest_each_image_once(manifest):
    digests = manifest.rows("gan1", Split.TEST)["digest"]
    assert len(digests) == 3
    assert digests.is_monotonic_increasing
    assert manifest.rows("gan1", Split.TRAIN).empty
    assert manifest.rows("gan2", Split.TEST).empty
    assert len(manifest.duplicates) == 1
    assert set(manifest.duplicates["digest"]).isdisjoint(digests)


def test_the_summary_counts_each_generator_by_split_and_what_is_not_usable(manifest):
    summary = manifest.summary().set_index("generator")
    assert summary.loc["own", ["val", "test", "unusable"]].tolist() == [1, 6, 0]
    assert summary.loc["gan1", ["train", "test", "unusable"]].tolist() == [0, 3, 1]


def test_what_is_smaller_than_the_crop_is_told_once_for_all_of_its_size(manifest):
    fitting = manifest.fitting(Preprocess(size=128))
    assert fitting.usable.empty
    assert set(fitting.problems["problem"]) == {"damaged", "64x64 pixels: smaller than the crop of 128x128"}
    assert fitting.sets() == ()
    assert len(manifest.usable) == 12


def test_the_digest_of_a_manifest_is_of_what_is_known_of_its_images(manifest, tmp_path):
    elsewhere = replace(manifest, roots=(tmp_path,), frame=manifest.frame.sample(frac=1, random_state=0))
    assert elsewhere.digest == manifest.digest
    for column, value in (("family", "other"), ("problem", "cut short"), ("group", "one"), ("path", "moved.jpg")):
        changed = manifest.frame.copy()
        changed.loc[0, column] = value
        assert replace(manifest, frame=changed).digest != manifest.digest, column


def test_the_digest_is_the_same_wherever_joined_folders_lie(tmp_path):
    def joined(place: Path) -> Manifest:
        train = [*rows("real/r", 4, part="train"), row("real/r/copy.png", shows="real/r/test.png", part="train")]
        test = [row("real/r/test.png", part="test"), *rows("fake/f", 4, part="test"), row("fake/f/x.png", part="test")]
        beside = row("fake/f/y.png", shows="fake/f/x.png", part="train")
        folders = [index_of(train, str(place / "a")), index_of([*test, beside], str(place / "b"))]
        return assemble([(index, Choosing()) for index in folders], Fractions(), overlap="drop")

    here, there = (joined(tmp_path / name) for name in ("here", "there"))
    assert here.problems["path"].tolist() == ["real/r/copy.png", "fake/f/y.png"]
    assert here.digest == there.digest
    across, beside = here.problems["problem"]
    assert str(tmp_path / "here/b/real/r/test.png") in across
    assert beside == "overlap: equal pixels with fake/f/x.png (test, f), which is kept"
    used = replace(here, frame=here.frame.assign(problem=""))
    assert used.digest != here.digest

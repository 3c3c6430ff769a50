import hashlib

import pandas as pd
import pytest

from tests.trainables.data.conftest import noise
from trainables.data.decode import READER_VERSION
from trainables.data.folder import index_folder
from trainables.data.manifest import Manifest
from trainables.data.splits import Fractions
from trainables.errors import InputError

ALL_TEST = Fractions(train=0, val=0, adapt=0, few=0, test=1)


def test_what_is_saved_is_loaded(folder, tmp_path):
    manifest = index_folder(folder, splits=Fractions())
    manifest.save(tmp_path / "deep" / "index.parquet")
    loaded = Manifest.load(tmp_path / "deep" / "index.parquet")
    assert loaded.root == folder
    pd.testing.assert_frame_equal(loaded.frame, manifest.frame)
    assert loaded.sets() == manifest.sets()
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["index.parquet"]


def test_another_file_is_no_manifest(tmp_path):
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="not an index of images"):
        Manifest.load(tmp_path / "other.parquet")


def test_a_sets_digest_is_a_hash_of_its_files_whatever_their_names_and_place(folder, tmp_path):
    manifest = index_folder(folder, splits=ALL_TEST)
    coco = next(images for images in manifest.sets() if images.generator == "coco")
    digests = sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in (folder / "real/coco").iterdir())
    content = "\n".join([f"reader {READER_VERSION}", *digests])
    assert coco.digest == hashlib.sha256(content.encode()).hexdigest()[:20]
    (folder / "real/coco/0.png").rename(folder / "real/coco/zzz.png")
    moved = folder.rename(tmp_path / "moved")
    assert index_folder(moved, splits=ALL_TEST).sets() == manifest.sets()


def test_a_sets_digest_changes_with_any_of_its_files(folder):
    before = index_folder(folder, splits=ALL_TEST).sets()
    noise(77).save(folder / "real/coco/0.png")
    after = index_folder(folder, splits=ALL_TEST).sets()
    changed = [a.generator for a, b in zip(before, after, strict=True) if a.digest != b.digest]
    assert changed == ["coco"]

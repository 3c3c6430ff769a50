from __future__ import annotations

import io
import pickle
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.written import manifest_of
from trainables.contract import Split
from trainables.data.manifest import Manifest
from trainables.data.preprocess import Preprocess
from trainables.data.reader import Reader
from trainables.data.stream import Stream
from trainables.errors import InputError

CROP = Preprocess(size=16)
CHAINS = {
    "crop": {"size": 16},
    "reencoded": {"size": 16, "reencode": "jpeg80"},
    "resize_crop": {"size": 16, "fit": "resize_crop", "shorter": 20},
    "grid": {"size": 8, "fit": "resize", "patches": {"kind": "grid", "side": 3}},
    "random": {"size": 16, "patches": {"kind": "random", "count": 3}, "reencode": "webp70"},
}


def stream_of(manifest: Manifest, preprocess: Preprocess = CROP, generator: str = "coco") -> Stream:
    """One generator's images, from their files."""
    rows = manifest.usable
    return Stream(manifest.roots, rows[rows["generator"] == generator], preprocess)


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_streamed_pixels_are_the_cached_ones_bit_for_bit(folder, tmp_path, chain) -> None:
    preprocess = Preprocess.model_validate(chain)
    names = ["coco", "ffhq", "stylegan"]
    cached = Reader(manifest_of(folder), preprocess, tmp_path / "cache").images(names, Split.TEST)
    streamed = Reader(manifest_of(folder), preprocess, tmp_path / "none", budget=0).images(names, Split.TEST)
    assert not (tmp_path / "none").exists()
    np.testing.assert_array_equal(streamed.pixels[:], cached.pixels[:])
    some = np.array([11, 0, 3, 3, -1])
    np.testing.assert_array_equal(streamed.pixels[some], cached.pixels[some])
    assert streamed.ids == cached.ids


@pytest.mark.parametrize("index", [0, -1, slice(1, 6, 2), slice(3, 3), [5, 0, 5], np.array([], np.int64)])
def test_indexing_is_that_of_one_array(folder, index) -> None:
    stream = stream_of(manifest_of(folder), Preprocess.model_validate(CHAINS["random"]))
    whole = stream[:]
    assert whole.shape == stream.shape == (12, 16, 16, 3)
    np.testing.assert_array_equal(stream[index], whole[index])
    assert stream[index].dtype == np.uint8


@pytest.mark.parametrize("index", [12, np.array([0, -13])])
def test_out_of_range(folder, index) -> None:
    with pytest.raises(IndexError):
        stream_of(manifest_of(folder), Preprocess.model_validate(CHAINS["random"]))[index]


def test_many_threads_may_read_at_once(folder) -> None:
    stream = stream_of(manifest_of(folder))
    expected = stream[:]
    with ThreadPoolExecutor(8) as pool:
        for k, found in enumerate(pool.map(lambda k: stream[k % 4], range(64))):
            np.testing.assert_array_equal(found, expected[k % 4])


def test_images_of_an_archive_and_of_a_second_folder(folder, tmp_path) -> None:
    manifest = manifest_of(folder)
    expected = stream_of(manifest)[:]
    (tmp_path / "packed").mkdir()
    with tarfile.open(tmp_path / "packed/0.tar", "w") as archive:
        for path in manifest.frame["path"]:
            archive.add(folder / path, path)
    with tarfile.open(tmp_path / "packed/0.tar") as archive:
        offsets = {f"0.tar/{member.name}": member.offset_data for member in archive}
    frame = manifest.frame.assign(folder=1, path="0.tar/" + manifest.frame["path"])
    frame["offset"] = frame["path"].map(offsets)
    packed = Manifest((tmp_path / "nothing here", tmp_path / "packed"), frame)
    np.testing.assert_array_equal(stream_of(packed)[:], expected)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda file: file.unlink(), "the file is gone since the folder was indexed"),
        (lambda file: shutil.rmtree(file.parent), "the file is gone since the folder was indexed"),
        (lambda file: (file.unlink(), file.mkdir()), "the file cannot be read"),
        (lambda file: file.write_bytes(b""), "the file has changed since the folder was indexed"),
        (lambda file: Image.new("RGB", (32, 32)).save(file), "the file has changed since the folder was indexed"),
    ],
    ids=["removed", "folder removed", "a folder", "emptied", "another image"],
)
def test_a_file_that_is_not_what_was_indexed_is_named(folder, change, problem) -> None:
    stream = stream_of(manifest_of(folder))
    first = stream_of(manifest_of(folder))._files[0]
    change(folder / first.path)
    with pytest.raises(InputError, match=problem) as error:
        stream[np.array([0])]
    assert error.value.where == str(folder / first.path)
    assert ("`touch` the file" in str(error.value)) == ("has changed" in problem)


def test_a_stream_travels(folder) -> None:
    stream = stream_of(manifest_of(folder))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stream))[:], stream[:])


def test_odd_tags_do_not_make_a_noise(folder, recwarn) -> None:
    file = next((folder / "real/coco").iterdir())
    palette = Image.open(file).convert("P")
    data = io.BytesIO()
    palette.save(data, "PNG", transparency=bytes(range(256)))
    file.write_bytes(data.getvalue())
    manifest = manifest_of(folder)
    assert recwarn.list, "Pillow has something to say of this file"
    recwarn.clear()
    stream_of(manifest)[:]
    assert not recwarn.list

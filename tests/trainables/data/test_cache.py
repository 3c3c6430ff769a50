from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.written import manifest_of
from trainables.contract import Split
from trainables.data import cache as module
from trainables.data.cache import bytes_of, cached_pixels
from trainables.data.preprocess import Preprocess
from trainables.data.reader import Reader
from trainables.data.stream import Stream
from trainables.errors import InputError

CROP = Preprocess(size=16)
TILES = Preprocess.model_validate({"size": 16, "patches": {"kind": "grid"}})


@pytest.fixture
def reader(folder, tmp_path):
    return Reader(manifest_of(folder), CROP, tmp_path / "cache")


def _pixels(reader):
    return reader.images(["coco"], Split.TEST).pixels[:]


def _parts(folder, preprocess):
    """The image set of one source, and its stream."""
    manifest = manifest_of(folder)
    coco = next(images for images in manifest.sets() if images.generator == "coco")
    rows = manifest.usable[manifest.usable["generator"] == "coco"]
    return coco, Stream(manifest.roots, rows, preprocess)


def test_pixels_are_those_of_the_files_in_the_order_of_their_digests(reader, folder):
    images = reader.images(["coco"], Split.TEST)
    assert list(images.ids) == sorted(images.ids)
    rows = manifest_of(folder).frame.set_index("digest")
    for k, digest in enumerate(images.ids):
        expected = np.asarray(Image.open(folder / rows.loc[digest, "path"]))[8:24, 8:24]
        np.testing.assert_array_equal(images.pixels[k], expected)


def test_the_squares_of_an_image_follow_each_other(folder, tmp_path):
    images = Reader(manifest_of(folder), TILES, tmp_path / "cache").images(["coco"], Split.TEST)
    assert images.pixels.shape == (16, 16, 16, 3)
    rows = manifest_of(folder).frame.set_index("digest")
    for k, square in enumerate(images.ids):
        digest, tile = square.split("/")
        top, left = 16 * (int(tile) // 2), 16 * (int(tile) % 2)
        expected = np.asarray(Image.open(folder / rows.loc[digest, "path"]))[top : top + 16, left : left + 16]
        np.testing.assert_array_equal(images.pixels[k], expected)


@pytest.mark.parametrize("preprocess", [CROP, TILES], ids=["one square", "tiles"])
def test_a_set_of_many_chunks_is_the_same(folder, tmp_path, monkeypatch, preprocess):
    for k in range(40):
        Image.new("RGB", (32, 32), (k, 2 * k, 3 * k)).save(folder / f"real/coco/{100 + k}.png")
    coco, stream = _parts(folder, preprocess)
    monkeypatch.setattr(module, "_CHUNK", 1)
    pixels = cached_pixels(coco, stream, tmp_path / "cache")
    np.testing.assert_array_equal(pixels, stream[:])
    assert pixels.nbytes == bytes_of(coco, preprocess)


def test_one_file_a_set_and_nothing_else_is_left(reader, tmp_path):
    reader.images(["coco", "stylegan"], Split.TEST)
    names = sorted(file.suffix for file in (tmp_path / "cache").iterdir())
    assert names == [".lock", ".lock", ".npy", ".npy"]


def test_the_cache_is_read_and_not_made_again(reader, folder):
    before = _pixels(reader)
    for file in (folder / "real/coco").iterdir():
        file.unlink()
    np.testing.assert_array_equal(_pixels(reader), before)


def test_another_preprocess_is_another_file(reader, folder, tmp_path):
    _pixels(reader)
    for other in (Preprocess(size=8, fit="resize"), Preprocess(size=16, reencode="jpeg96"), TILES):
        assert _pixels(Reader(manifest_of(folder), other, tmp_path / "cache")).shape[0] == 4 * other.views
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 4


def test_the_same_images_under_another_name_share_a_file(folder, tmp_path):
    _pixels(Reader(manifest_of(folder), CROP, tmp_path / "cache"))
    (folder / "real/coco").rename(folder / "real/renamed")
    renamed = Reader(manifest_of(folder), CROP, tmp_path / "cache")
    renamed.images(["renamed"], Split.TEST)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1


@pytest.mark.parametrize("change", ["rewrite", "remove"])
def test_a_file_that_changed_since_it_was_indexed_is_told_and_nothing_written(reader, folder, tmp_path, change):
    file = folder / "real/coco/2.png"
    if change == "remove":
        file.unlink()
    else:
        Image.new("RGB", (32, 32)).save(file)
    with pytest.raises(InputError, match="since the folder was indexed") as error:
        _pixels(reader)
    assert error.value.where == str(file)
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".lock"]


def test_many_readers_at_once_make_one_file(folder, tmp_path):
    manifest = manifest_of(folder)
    with ThreadPoolExecutor(8) as pool:
        readers = [Reader(manifest, CROP, tmp_path / "cache") for _ in range(8)]
        results = list(pool.map(_pixels, readers))
    assert all((result == results[0]).all() for result in results)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1


def test_a_disk_that_fills_up_is_told_and_nothing_half_written_is_ever_read(folder, tmp_path):
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from tests.trainables.data.written import manifest_of\n"
        "from trainables.contract import Split\n"
        "from trainables.data.preprocess import Preprocess\n"
        "from trainables.data.reader import Reader\n"
        "from trainables.errors import InputError\n"
        "manifest = manifest_of(Path(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: Reader(manifest, Preprocess(size=16), Path(sys.argv[2])).images(['coco'], Split.TEST)\n"
        "except InputError as error: print(error)"
    )
    cache = tmp_path / "cache"
    command = [sys.executable, "-c", code, str(folder), str(cache)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for words in ("the disk is full", str(cache), "coco/test: 3.07e-06 GB", "`cache.folder`", "`cache.gigabytes`"):
        assert words in done.stdout
    assert [file.suffix for file in cache.iterdir()] == [".lock"]
    reader = Reader(manifest_of(folder), CROP, cache)
    np.testing.assert_array_equal(_pixels(reader), _parts(folder, CROP)[1][:])


def test_too_little_free_space_is_told_before_anything_is_decoded(reader, folder, tmp_path, monkeypatch):
    usage = module.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage._replace(free=3071))
    for file in (folder / "real/coco").iterdir():
        file.unlink()  # to read one would be another error
    with pytest.raises(InputError, match="the disk is full"):
        _pixels(reader)
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_writer_that_was_killed_leaves_nothing_that_is_read(reader, tmp_path):
    expected = _pixels(reader)
    (made,) = (tmp_path / "cache").glob("*.npy")
    half = made.with_name(f".{made.name}.1-0.tmp")
    half.write_bytes(made.read_bytes()[:200])
    made.unlink()
    np.testing.assert_array_equal(_pixels(reader), expected)
    assert not half.exists()


def test_a_cache_that_is_no_folder_is_told(folder, tmp_path):
    (tmp_path / "file").touch()
    reader = Reader(manifest_of(folder), CROP, tmp_path / "file")
    with pytest.raises(InputError, match="cannot write here"):
        _pixels(reader)


def test_the_map_cannot_be_written_to(folder, tmp_path):
    pixels = cached_pixels(*_parts(folder, CROP), tmp_path / "cache")
    assert isinstance(pixels, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        pixels[0] = 0


def test_what_is_decoded_at_once_is_bounded_by_its_bytes(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK", 1)  # less than an image
    images, stream = _parts(folder, TILES)
    assert [len(chunk) for chunk in module._chunks(stream)] == [TILES.views] * images.count
    np.testing.assert_array_equal(cached_pixels(images, stream, tmp_path / "cache"), stream[:])

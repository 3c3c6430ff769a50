import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from trainables.contract import Split
from trainables.data.cache import ImageFile, cached_pixels
from trainables.data.folder import index_folder
from trainables.data.preprocess import Preprocess
from trainables.data.reader import Reader
from trainables.data.splits import Fractions
from trainables.errors import InputError

ALL_TEST = Fractions(train=0, val=0, adapt=0, few=0, test=1)
CROP = Preprocess(size=16)


@pytest.fixture
def reader(folder, tmp_path):
    return Reader(index_folder(folder, splits=ALL_TEST), CROP, tmp_path / "cache")


def _pixels(reader):
    return reader.images(["coco"], Split.TEST).pixels[:]


def test_pixels_are_those_of_the_files_in_the_order_of_their_digests(reader, folder):
    images = reader.images(["coco"], Split.TEST)
    assert list(images.ids) == sorted(images.ids)
    rows = index_folder(folder, splits=ALL_TEST).frame.set_index("digest")
    for k, digest in enumerate(images.ids):
        expected = np.asarray(Image.open(folder / rows.loc[digest, "path"]))[8:24, 8:24]
        np.testing.assert_array_equal(images.pixels[k], expected)


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
    other = Reader(index_folder(folder, splits=ALL_TEST), Preprocess(size=8, fit="resize"), tmp_path / "cache")
    assert _pixels(other).shape == (4, 8, 8, 3)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 2


def test_the_same_images_under_another_name_share_a_file(folder, tmp_path):
    _pixels(Reader(index_folder(folder, splits=ALL_TEST), CROP, tmp_path / "cache"))
    (folder / "real/coco").rename(folder / "real/renamed")
    renamed = Reader(index_folder(folder, splits=ALL_TEST), CROP, tmp_path / "cache")
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
    manifest = index_folder(folder, splits=ALL_TEST)
    with ThreadPoolExecutor(8) as pool:
        readers = [Reader(manifest, CROP, tmp_path / "cache") for _ in range(8)]
        results = list(pool.map(_pixels, readers))
    assert all((result == results[0]).all() for result in results)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1


def test_a_full_disk_is_told_and_leaves_nothing_half_written(folder, tmp_path):
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from trainables.contract import Split\n"
        "from trainables.data.folder import index_folder\n"
        "from trainables.data.preprocess import Preprocess\n"
        "from trainables.data.reader import Reader\n"
        "from trainables.data.splits import Fractions\n"
        "from trainables.errors import InputError\n"
        "manifest = index_folder(Path(sys.argv[1]), splits=Fractions(train=0, val=0, adapt=0, few=0, test=1))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: Reader(manifest, Preprocess(size=16), Path(sys.argv[2])).images(['coco'], Split.TEST)\n"
        "except InputError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(folder), str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "the disk is full" in done.stdout
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_cache_that_is_no_folder_is_told(folder, tmp_path):
    (tmp_path / "file").touch()
    reader = Reader(index_folder(folder, splits=ALL_TEST), CROP, tmp_path / "file")
    with pytest.raises(InputError, match="cannot write here"):
        _pixels(reader)


def test_the_map_cannot_be_written_to(folder, tmp_path):
    manifest = index_folder(folder, splits=ALL_TEST)
    coco = next(images for images in manifest.sets() if images.generator == "coco")
    rows = manifest.usable[manifest.usable["generator"] == "coco"]
    files = [ImageFile(folder / path, digest) for path, digest in zip(rows["path"], rows["digest"], strict=True)]
    pixels = cached_pixels(coco, files, CROP, tmp_path / "cache")
    assert isinstance(pixels, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        pixels[0] = 0

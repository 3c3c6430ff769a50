from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import xxhash
from PIL import Image
from scipy import ndimage

from tests.trainables.data.conftest import noise
from trainables.benchmark.scenes import render_scene
from trainables.indexing.examine import Facts, examine, one_opencv_thread


def _examined(root: Path, name: str) -> Facts:
    status = (root / name).stat()
    return examine(root, name, -1, status.st_size, status.st_mtime_ns)


def _scene(width: int, height: int) -> Image.Image:
    scene = render_scene(np.random.default_rng(3), max(width, height)) ** (1 / 2.2) * 255
    return Image.fromarray(scene[:height, :width].astype(np.uint8))


@pytest.mark.parametrize("size", [(50, 40), (97, 131), (300, 200), (128, 128)])
def test_every_fact_of_a_jpeg(tmp_path, size):
    exif = Image.Exif()
    exif[0x010F] = "maker"
    _scene(*size).save(tmp_path / "a.jpg", quality=87, subsampling="4:2:2", exif=exif)
    found = _examined(tmp_path, "a.jpg")
    pixels = np.asarray(Image.open(tmp_path / "a.jpg"))
    padded = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])

    assert found.digest == hashlib.sha256((tmp_path / "a.jpg").read_bytes()).hexdigest()
    assert found.pixels == xxhash.xxh3_128(padded.tobytes(), seed=size[0]).hexdigest()
    assert (found.width, found.height, found.mode, found.format) == (*size, "RGB", "JPEG")
    assert (found.quality, found.chroma, found.exif) == (87, "4:2:2", 1)
    np.testing.assert_allclose([found.red, found.green, found.blue], pixels.mean(axis=(0, 1)), rtol=1e-9)
    assert len(found.perceptual) == 16
    assert (found.note, found.problem) == ("", "")


@pytest.mark.parametrize("size", [(50, 40), (128, 128), (300, 131)])
def test_detail_is_the_rms_laplacian_of_the_grey_centre(tmp_path, size):
    _scene(*size).save(tmp_path / "a.png")
    grey = np.asarray(Image.open(tmp_path / "a.png").convert("L")).astype(float)
    top, left = (max(0, (side - 128) // 2) for side in grey.shape)
    laplacian = ndimage.laplace(grey[top : top + 128, left : left + 128], mode="mirror")
    # Pillow and OpenCV round grey differently, by a level.
    assert _examined(tmp_path, "a.png").detail == pytest.approx(np.sqrt((laplacian**2).mean()), rel=0.02)


def test_equal_pixels_have_one_name_whatever_the_file(tmp_path):
    image = noise(1)
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "b.bmp")
    image.save(tmp_path / "c.webp", lossless=True)
    Image.merge("RGBA", [*image.split(), Image.new("L", image.size, 255)]).save(tmp_path / "d.png")
    found = [_examined(tmp_path, name) for name in ("a.png", "b.bmp", "c.webp", "d.png")]

    assert len({each.pixels for each in found}) == 1
    assert len({each.digest for each in found}) == 4


def test_the_shape_is_part_of_the_name_of_the_pixels(tmp_path):
    Image.new("RGB", (16, 8), "red").save(tmp_path / "a.png")
    Image.new("RGB", (8, 16), "red").save(tmp_path / "b.png")
    assert _examined(tmp_path, "a.png").pixels != _examined(tmp_path, "b.png").pixels


def test_an_image_larger_than_pillow_keeps_in_one_piece(tmp_path):
    rng = np.random.default_rng(0)
    pixels = cv2.resize(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8), (2800, 2100))
    Image.fromarray(pixels).save(tmp_path / "a.bmp")
    found = _examined(tmp_path, "a.bmp")
    padded = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])

    assert found.pixels == xxhash.xxh3_128(padded.tobytes(), seed=2800).hexdigest()
    np.testing.assert_allclose([found.red, found.green, found.blue], pixels.mean(axis=(0, 1)), rtol=1e-6)


@pytest.mark.parametrize(("size", "usable"), [((1, 1), False), ((7, 100), False), ((100, 7), False), ((8, 8), True)])
def test_an_image_smaller_than_any_square_is_told_by_its_size(tmp_path, size, usable):
    noise(0, 100).resize(size).save(tmp_path / "a.png")
    found = _examined(tmp_path, "a.png")

    assert (found.width, found.height) == size
    assert found.problem == ("" if usable else f"{size[0]}x{size[1]} pixels: a side is shorter than 8")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    monkeypatch.undo()
    found = _examined(tmp_path, "bomb.png")

    assert (tmp_path / "bomb.png").stat().st_size < 100_000
    assert "decompression bomb" in found.problem
    assert (found.width, found.pixels) == (0, "")
    assert len(found.digest) == 64


def test_files_that_are_no_images_say_why_and_raise_nothing(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "folder.png").mkdir()
    noise(0).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:200])
    (tmp_path / "broken link.png").symlink_to(tmp_path / "nowhere")

    assert "0 bytes" in _examined(tmp_path, "empty.png").problem
    assert _examined(tmp_path, "text.png").problem == "not an image"
    assert "cut short" in _examined(tmp_path, "cut.png").problem
    assert examine(tmp_path, "broken link.png", -1, 1, 1).problem == "cannot be read: No such file or directory"
    assert "cannot be read" in examine(tmp_path, "folder.png", -1, 1, 1).problem


def test_a_file_that_changes_while_the_folder_is_read(tmp_path):
    noise(0).save(tmp_path / "a.png")
    status = (tmp_path / "a.png").stat()
    shorter = examine(tmp_path, "a.png", -1, status.st_size + 1, status.st_mtime_ns)
    os.utime(tmp_path / "a.png", ns=(1, 1))
    touched = examine(tmp_path, "a.png", -1, status.st_size, status.st_mtime_ns)

    assert shorter == touched == Facts(problem="changed while the folder was read")


def test_a_member_of_an_archive_is_examined_like_a_file(tmp_path):
    import tarfile

    noise(0).save(tmp_path / "a.png")
    with tarfile.open(tmp_path / "0.tar", "w") as archive:
        archive.add(tmp_path / "a.png", "a.png")
    with tarfile.open(tmp_path / "0.tar") as archive:
        offset = archive.getmember("a.png").offset_data
    size, modified = (tmp_path / "a.png").stat().st_size, (tmp_path / "0.tar").stat().st_mtime_ns

    found = examine(tmp_path, "0.tar/a.png", offset, size, modified)
    assert found == _examined(tmp_path, "a.png")
    assert examine(tmp_path, "0.tar/a.png", offset, size, modified - 1).problem.startswith("changed")


def test_bytes_gone_wrong_anywhere_never_raise(tmp_path):
    rng = np.random.default_rng(0)
    for format_ in ("JPEG", "PNG", "WEBP", "GIF", "BMP"):
        file = io.BytesIO()
        exif = Image.Exif()
        exif[0x0112] = 6
        noise(0, 24).save(file, format_, **({"exif": exif} if format_ in ("JPEG", "PNG", "WEBP") else {}))
        for k in range(150):
            data = bytearray(file.getvalue())
            for place in rng.integers(0, min(len(data), 10 ** rng.integers(1, 5)), 3):
                data[place] = rng.integers(256)
            (tmp_path / f"{format_}{k}.png").write_bytes(data[: rng.integers(1, len(data))] if k % 3 == 0 else data)
            _examined(tmp_path, f"{format_}{k}.png")


def test_opencv_gets_its_threads_back():
    before = cv2.getNumThreads()
    with one_opencv_thread():
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == before


@pytest.mark.parametrize("size", [2**30 + 1, 2**40])
def test_more_than_any_image_takes_is_not_read_into_memory(tmp_path, size):
    with (tmp_path / "a.png").open("wb") as file:
        file.truncate(size)
    assert _examined(tmp_path, "a.png") == Facts(problem=f"{size} bytes: too large for an image")


def test_a_file_that_has_grown_has_changed(tmp_path):
    noise(0).save(tmp_path / "a.png")
    status = (tmp_path / "a.png").stat()
    with (tmp_path / "a.png").open("ab") as file:
        file.write(bytes(100))
    os.utime(tmp_path / "a.png", ns=(0, status.st_mtime_ns))
    found = examine(tmp_path, "a.png", -1, status.st_size, status.st_mtime_ns)
    assert found == Facts(problem="changed while the folder was read")

"""JPEG, WebP and the chain that holds one: files are of the quality that was asked for."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.trainables.photographs import PHOTOGRAPHS
from trainables import imaging
from trainables.corruptions import crop, jpeg, resize, social, webp

PHOTOGRAPH = PHOTOGRAPHS[0]
LUMINANCE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
"""Table K.1 of the JPEG standard (ITU-T T.81)."""


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every file that is decoded, as bytes."""
    seen: list[bytes] = []
    opened = Image.open

    def spy(file: io.BytesIO) -> Any:
        seen.append(file.getvalue())
        return opened(file)

    monkeypatch.setattr(imaging.Image, "open", spy)
    return seen


@pytest.mark.parametrize("quality", [100, 95, 80, 50, 40, 20, 1])
def test_jpeg_has_the_quantisation_table_of_its_quality(files: list[bytes], quality: int) -> None:
    """libjpeg's scaling of the standard's table: 5000/q percent below 50, 200 - 2q from there on."""
    result = jpeg.corrupt(jpeg.Config(quality=quality), PHOTOGRAPH, rng())
    percent = 5000 // quality if quality < 50 else 200 - 2 * quality
    expected = np.clip((LUMINANCE * percent + 50) // 100, 1, 255)
    with Image.open(io.BytesIO(files[0])) as image:
        found = np.array(image.quantization[0]).reshape(8, 8)
    np.testing.assert_array_equal(found, expected)
    assert (result != PHOTOGRAPH).any()


@pytest.mark.parametrize(("chroma", "sampling"), [(444, 0x11), (422, 0x21), (420, 0x22)])
def test_jpeg_samples_chroma_as_asked(files: list[bytes], chroma: Any, sampling: int) -> None:
    jpeg.corrupt(jpeg.Config(chroma=chroma), PHOTOGRAPH, rng())
    frame = files[0].index(b"\xff\xc0")  # marker, length, precision, height, width, components; then id and sampling
    assert files[0][frame + 9] == 3
    assert files[0][frame + 11] == sampling


def test_jpeg_is_that_of_pillow() -> None:
    file = io.BytesIO()
    Image.fromarray(PHOTOGRAPH).save(file, "JPEG", quality=40, subsampling="4:2:0")
    expected = np.asarray(Image.open(file))
    np.testing.assert_array_equal(jpeg.corrupt(jpeg.Config(quality=40), PHOTOGRAPH, rng()), expected)


def test_webp_is_lossy_and_smaller_at_a_lower_quality(files: list[bytes]) -> None:
    results = [webp.corrupt(webp.Config(quality=quality), PHOTOGRAPH, rng()) for quality in (100, 80, 30)]
    assert all((result != PHOTOGRAPH).any() for result in results)
    assert all(file[8:16] == b"WEBPVP8 " for file in files)  # VP8L would be lossless
    assert len(files[0]) > len(files[1]) > len(files[2])


def parts(pixels: NDArray[np.uint8], config: social.Config) -> NDArray[np.uint8]:
    """The chain as its three members, one after the other."""
    small = resize.corrupt(resize.Config(factor=config.factor, back=False), pixels, rng())
    coded = jpeg.corrupt(jpeg.Config(quality=config.quality), small, rng())
    return crop.corrupt(crop.Config(share=config.share, back=False), coded, rng())


def test_social_chain_is_its_three_parts() -> None:
    left = social.Config(back=False)
    expected = parts(PHOTOGRAPH, left)
    assert expected.shape == (34, 34, 3)
    np.testing.assert_array_equal(social.corrupt(left, PHOTOGRAPH, rng()), expected)
    back = resize.corrupt(resize.Config(size=64, back=False), expected, rng())
    np.testing.assert_array_equal(social.corrupt(social.Config(), PHOTOGRAPH, rng()), back)

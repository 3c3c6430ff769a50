import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from trainables.contract import Images
from trainables.corruption import corrupted
from trainables.registry import CORRUPTIONS

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
IMAGES = Images(
    pixels=PIXELS, labels=np.array([0, 1] * 3), ids=[f"{k:064x}" for k in range(6)], generators=["a", "b"] * 3
)


def _corrupted(kind, **parameters):
    return corrupted(IMAGES, kind, CORRUPTIONS[kind].config(**parameters))


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_only_the_pixels_change_and_they_do(kind):
    images = _corrupted(kind)
    assert (images.ids, images.generators) == (IMAGES.ids, IMAGES.generators)
    np.testing.assert_array_equal(images.labels, IMAGES.labels)
    assert images.pixels.shape == PIXELS.shape
    assert images.pixels[:].dtype == np.uint8
    assert all((images.pixels[k] != PIXELS[k]).any() for k in range(6))


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_an_image_is_the_same_whatever_is_read_with_it(kind):
    pixels = _corrupted(kind).pixels
    whole = pixels[:]
    for index in (3, -1, slice(1, 4), np.array([5, 0]), np.array([], np.int64), np.arange(6) > 3):
        np.testing.assert_array_equal(pixels[index], whole[index])
    swapped = corrupted(IMAGES.take(np.arange(6)[::-1]), kind, CORRUPTIONS[kind].config())
    np.testing.assert_array_equal(swapped.pixels[::-1], whole)


def test_jpeg_is_that_of_pillow_at_the_quality():
    file = io.BytesIO()
    Image.fromarray(PIXELS[2]).save(file, "JPEG", quality=40, subsampling="4:2:0")
    np.testing.assert_array_equal(_corrupted("jpeg", quality=40).pixels[2], np.asarray(Image.open(file)))


def test_blur_is_a_gaussian_mirrored_at_the_border():
    expected = gaussian_filter(PIXELS[1].astype(float), (1.5, 1.5, 0), mode="mirror")
    assert np.abs(_corrupted("gaussian_blur", sigma=1.5).pixels[1] - expected).max() < 2.0
    assert np.abs(_corrupted("gaussian_blur", sigma=1.5).pixels[1] - expected).mean() < 0.4


def test_noise_has_the_stated_deviation_and_other_values_in_every_image():
    grey = Images(
        pixels=np.full((2, 128, 128, 3), 128, np.uint8), labels=np.array([0, 1]), ids=["a", "b"], generators=["a", "b"]
    )
    noisy = corrupted(grey, "gaussian_noise", CORRUPTIONS["gaussian_noise"].config(sigma=4)).pixels[:] - 128.0
    assert noisy.std() == pytest.approx(np.sqrt(16 + 1 / 12), rel=0.02)
    assert abs(np.corrcoef(noisy[0].ravel(), noisy[1].ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("kind", ["gaussian_blur", "gaussian_noise"])
def test_severity_zero_is_the_clean_image(kind):
    np.testing.assert_array_equal(_corrupted(kind, sigma=0).pixels[:], PIXELS)


def test_noise_keeps_to_the_range():
    black = Images(pixels=np.zeros((1, 64, 64, 3), np.uint8), labels=np.array([0]), ids=["a"], generators=["a"])
    noisy = corrupted(black, "gaussian_noise", CORRUPTIONS["gaussian_noise"].config(sigma=20)).pixels[0]
    assert (noisy == 0).mean() == pytest.approx(0.5, abs=0.03)
    assert noisy.max() < 150

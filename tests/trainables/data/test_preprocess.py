import numpy as np
import pytest
from PIL import Image

from trainables.data.preprocess import Preprocess
from trainables.errors import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (21, 34, 3), dtype=np.uint8)


def test_crop_takes_the_centre_untouched():
    square = Preprocess(size=8)(Image.fromarray(PIXELS))
    np.testing.assert_array_equal(square, PIXELS[6:14, 13:21])
    assert square.flags.writeable


def test_crop_refuses_a_smaller_image():
    with pytest.raises(InputError, match="34x21 pixels: smaller than the crop of 32x32"):
        Preprocess(size=32)(Image.fromarray(PIXELS))


@pytest.mark.parametrize("filter_", ["bilinear", "bicubic", "lanczos", "box"])
def test_resize_keeps_the_mean_whatever_the_filter(filter_):
    square = Preprocess(size=16, fit="resize", filter=filter_)(Image.fromarray(PIXELS))
    assert square.shape == (16, 16, 3)
    assert square.dtype == np.uint8
    assert square.mean() == pytest.approx(PIXELS.mean(), abs=4)


def test_box_resize_is_the_mean_of_blocks():
    even = PIXELS[:16, :32]
    square = Preprocess(size=8, fit="resize", filter="box")(Image.fromarray(even))
    expected = even.reshape(8, 2, 8, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(square, expected, atol=1.01)


def test_resize_enlarges():
    assert Preprocess(size=64, fit="resize")(Image.fromarray(PIXELS)).shape == (64, 64, 3)

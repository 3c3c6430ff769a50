from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from trainables.resampling import Resampled


@pytest.mark.parametrize("size", [(20, 20), (50, 31), (16, 40)])
def test_it_is_torchs_antialiased_bicubic_interpolation(size: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *size, dtype=torch.float64)
    expected = functional.interpolate(images, size=(32, 32), mode="bicubic", antialias=True)
    torch.testing.assert_close(Resampled(32)(images), expected, atol=1e-6, rtol=0)


def test_images_of_its_size_are_left_alone() -> None:
    images = torch.rand(2, 3, 32, 32)
    assert Resampled(32)(images) is images


def test_with_crop_larger_images_are_seen_in_their_middle_and_smaller_ones_are_made_larger() -> None:
    images = torch.rand(2, 3, 40, 37)
    assert torch.equal(Resampled(32, crop=True)(images), images[:, :, 4:36, 2:34])
    narrow = images[:, :, :, :20]
    expected = functional.interpolate(narrow[:, :, 4:36], size=(32, 32), mode="bicubic", antialias=True)
    torch.testing.assert_close(Resampled(32, crop=True)(narrow), expected, atol=1e-6, rtol=0)


def test_what_it_does_is_seen_in_its_description() -> None:
    # Features are cached under it.
    assert repr(Resampled(32)) != repr(Resampled(64)) != repr(Resampled(64, crop=True))

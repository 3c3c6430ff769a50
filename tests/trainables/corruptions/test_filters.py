"""Blur, median, noise, gamma and bit depth: against other implementations and what is known of their results."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter, median_filter

from tests.trainables.photographs import PHOTOGRAPHS
from trainables.corruptions import bit_depth, gamma, gaussian_blur, gaussian_noise, median

PHOTOGRAPH = PHOTOGRAPHS[0]
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("sigma", [0.5, 1.5, 3.0])
def test_blur_is_a_gaussian_mirrored_at_the_border(sigma: float) -> None:
    result = gaussian_blur.corrupt(gaussian_blur.Config(sigma=sigma), PHOTOGRAPH, rng())
    expected = gaussian_filter(PHOTOGRAPH.astype(float), (sigma, sigma, 0), mode="mirror", truncate=5)
    assert np.abs(result - expected).max() < 1


@pytest.mark.parametrize(("kernel", "sigma"), [(3, 0.8), (7, 1.4), (15, 2.6)])
def test_blur_of_a_kernel_is_opencv_with_the_sigma_of_its_rule(kernel: int, sigma: float) -> None:
    config = gaussian_blur.Config(kernel=kernel)
    assert config.sigma == sigma == pytest.approx(0.3 * ((kernel - 1) * 0.5 - 1) + 0.8)
    expected = cv2.GaussianBlur(PHOTOGRAPH, (kernel, kernel), sigma).astype(int)  # in 8-bit arithmetic
    assert np.abs(gaussian_blur.corrupt(config, PHOTOGRAPH, rng()) - expected).max() <= 1
    assert config == gaussian_blur.Config.model_validate(config.model_dump())
    assert gaussian_blur.Config(kernel=kernel, sigma=1).sigma == 1


@pytest.mark.parametrize("config", [gaussian_blur.Config, median.Config])
def test_a_kernel_without_a_middle_is_refused(config: type) -> None:
    with pytest.raises(ValidationError, match=r"odd(.|\n)*write 5 or 7"):
        config(kernel=6)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 5.0, 20.0])
def test_noise_has_the_stated_deviation_and_no_offset_on_grey(sigma: float) -> None:
    grey = np.full((256, 256, 3), 128, np.uint8)
    noise = gaussian_noise.corrupt(gaussian_noise.Config(sigma=sigma), grey, rng()) - 128.0
    assert noise.std() == pytest.approx(sigma, rel=0.05)
    assert noise.mean() == pytest.approx(0, abs=4 * sigma / np.sqrt(noise.size))
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(noise[:, 1:, 0].ravel(), noise[:, :-1, 0].ravel())[0, 1]) < 0.02


def test_noise_keeps_to_the_range() -> None:
    black = np.zeros((64, 64, 3), np.uint8)
    noisy = gaussian_noise.corrupt(gaussian_noise.Config(sigma=20), black, rng())
    assert (noisy == 0).mean() == pytest.approx(0.5, abs=0.03)
    assert noisy.max() < 150


def test_median_is_that_of_scipy_and_removes_salt_and_pepper() -> None:
    result = median.corrupt(median.Config(kernel=5), PHOTOGRAPH, rng())
    np.testing.assert_array_equal(result, median_filter(PHOTOGRAPH, (5, 5, 1), mode="nearest"))
    grey = np.full((33, 33, 3), 90, np.uint8)
    grey[::4, ::4], grey[2::4, 2::4] = 255, 0
    assert (median.corrupt(median.Config(kernel=3), grey, rng()) == 90).all()


def test_gamma_is_a_power_law_that_keeps_black_and_white() -> None:
    for exponent in (0.8, 1.2, 2.0):
        result = gamma.corrupt(gamma.Config(gamma=exponent), RAMP, rng())
        assert np.abs(result - 255 * np.power(RAMP / 255.0, exponent)).max() <= 0.5
        assert (result.min(), result.max()) == (0, 255)
    assert gamma.corrupt(gamma.Config(gamma=1.2), RAMP, rng()).mean() < RAMP.mean()


@pytest.mark.parametrize("bits", range(1, 9))
def test_bit_depth_has_that_many_even_levels_and_rounds_to_the_nearest(bits: int) -> None:
    result = bit_depth.corrupt(bit_depth.Config(bits=bits), RAMP, rng())
    levels = np.round(np.linspace(0, 255, 2**bits))
    assert np.array_equal(np.unique(result), levels)
    nearest = np.abs(RAMP[..., 0, None] - levels).min(axis=-1)
    assert np.abs(np.abs(RAMP.astype(int) - result)[..., 0] - nearest).max() <= 1


@pytest.mark.parametrize(
    ("member", "parameters"),
    [
        (gaussian_blur, {"sigma": 0}),
        (gaussian_noise, {"sigma": 0}),
        (median, {"kernel": 1}),
        (gamma, {"gamma": 1}),
        (bit_depth, {"bits": 8}),
    ],
)
def test_the_mildest_severity_is_the_image_itself(member: object, parameters: dict[str, float]) -> None:
    result = member.corrupt(member.Config(**parameters), PHOTOGRAPH, rng())
    np.testing.assert_array_equal(result, PHOTOGRAPH)

"""Resize, crop, rotation and mirror: sizes, places, and what comes back."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from scipy.ndimage import rotate

from tests.trainables.photographs import PHOTOGRAPHS, SIDE
from trainables.corruptions import crop, mirror, resize, rotation

PHOTOGRAPH = PHOTOGRAPHS[0]
WIDE = np.ascontiguousarray(PHOTOGRAPH[:40])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("parameters", "shape"),
    [
        ({"factor": 0.5}, (20, 32, 3)),
        ({"factor": 0.75}, (30, 48, 3)),
        ({"factor": 1.5}, (60, 96, 3)),
        ({"factor": 2}, (80, 128, 3)),
        ({"size": 64}, (64, 102, 3)),
        ({"size": 256}, (256, 410, 3)),
    ],
)
def test_resize_has_the_new_size_and_back_the_old(parameters: dict[str, float], shape: tuple[int, ...]) -> None:
    there = resize.corrupt(resize.Config(**parameters, back=False), WIDE, rng())
    assert there.shape == shape
    back = resize.corrupt(resize.Config(**parameters), WIDE, rng())
    assert back.shape == WIDE.shape
    assert (back != WIDE).any()


def test_resize_is_that_of_pillow_both_ways() -> None:
    half = Image.fromarray(PHOTOGRAPH).resize((32, 32), Image.Resampling.LANCZOS)
    result = resize.corrupt(resize.Config(factor=0.5, filter="lanczos"), PHOTOGRAPH, rng())
    np.testing.assert_array_equal(result, np.asarray(half.resize((64, 64), Image.Resampling.LANCZOS)))


def test_box_halves_are_means_of_four_pixels() -> None:
    result = resize.corrupt(resize.Config(factor=0.5, filter="box", back=False), PHOTOGRAPH, rng())
    means = PHOTOGRAPH.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(result - means).max() <= 1  # rounded along one side, then along the other


def test_resize_takes_a_factor_or_a_size() -> None:
    assert resize.Config(size=64).factor is None
    for given in ({"size": 64, "factor": 0.5}, {"factor": None}):
        with pytest.raises(ValidationError, match="a factor or a size"):
            resize.Config(**given)
    for config in (resize.Config(), resize.Config(size=64)):
        assert resize.Config.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    ("place", "rows", "columns"),
    [
        ("centre", slice(16, 48), slice(16, 48)),
        ("top_left", slice(0, 32), slice(0, 32)),
        ("top_right", slice(0, 32), slice(32, 64)),
        ("bottom_left", slice(32, 64), slice(0, 32)),
        ("bottom_right", slice(32, 64), slice(32, 64)),
    ],
)
def test_half_of_the_side_at_a_corner_is_a_quadrant(place: str, rows: slice, columns: slice) -> None:
    result = crop.corrupt(crop.Config(share=0.5, place=place, back=False), PHOTOGRAPH, rng())
    np.testing.assert_array_equal(result, PHOTOGRAPH[rows, columns])


def test_crop_is_scaled_back_to_the_old_size() -> None:
    config = crop.Config(share=0.75)
    kept = Image.fromarray(PHOTOGRAPH[8:56, 8:56]).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(crop.corrupt(config, PHOTOGRAPH, rng()), np.asarray(kept))
    assert crop.corrupt(config, WIDE, rng()).shape == WIDE.shape


def test_random_crops_lie_all_over_the_image_and_follow_their_draws() -> None:
    rows = np.repeat(np.arange(SIDE, dtype=np.uint8)[:, None, None], SIDE, axis=1).repeat(3, axis=2)
    config = crop.Config(share=0.5, place="random", back=False)
    tops = [int(crop.corrupt(config, rows, rng(seed))[0, 0, 0]) for seed in range(200)]
    assert (min(tops), max(tops)) == (0, SIDE // 2)
    assert tops == [int(crop.corrupt(config, rows, rng(seed))[0, 0, 0]) for seed in range(200)]


def test_share_of_one_is_the_image_itself() -> None:
    np.testing.assert_array_equal(crop.corrupt(crop.Config(share=1), PHOTOGRAPH, rng()), PHOTOGRAPH)


def test_rotation_turns_counter_clockwise_within_its_canvas() -> None:
    result = rotation.corrupt(rotation.Config(degrees=45), PHOTOGRAPH, rng())
    expected = rotate(PHOTOGRAPH.astype(float), 45, axes=(1, 0), reshape=False, order=1)
    inner = slice(16, 48)
    assert result.shape == PHOTOGRAPH.shape
    away = rotate(PHOTOGRAPH.astype(float), -45, axes=(1, 0), reshape=False, order=1)
    right, wrong = (np.abs(result - turned)[inner, inner].mean() for turned in (expected, away))
    assert right < 2 < wrong
    quarter = rotation.corrupt(rotation.Config(degrees=90), PHOTOGRAPH, rng())
    np.testing.assert_array_equal(quarter, np.rot90(PHOTOGRAPH))


@pytest.mark.parametrize("degrees", [45, 135])
def test_rotation_fills_the_corners_and_keeps_the_canvas(degrees: float) -> None:
    result = rotation.corrupt(rotation.Config(degrees=degrees, fill=77), WIDE, rng())
    assert result.shape == WIDE.shape
    corners = result[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 77).all()


@pytest.mark.parametrize(("direction", "axis"), [("horizontal", 1), ("vertical", 0)])
def test_mirror_twice_is_the_image_itself(direction: str, axis: int) -> None:
    config = mirror.Config(direction=direction)
    once = mirror.corrupt(config, PHOTOGRAPH, rng())
    np.testing.assert_array_equal(once, np.flip(PHOTOGRAPH, axis))
    np.testing.assert_array_equal(mirror.corrupt(config, once, rng()), PHOTOGRAPH)

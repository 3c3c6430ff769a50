"""Views of corrupted images: what is read is the same however it is read, in the size that comes out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.trainables.toy import toy_detector
from trainables.contract import Images
from trainables.corruption import corrupted
from trainables.errors import InputError
from trainables.registry import CORRUPTIONS
from trainables.score import score

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
IMAGES = Images(
    pixels=PIXELS, labels=np.array([0, 1] * 3), ids=[f"{k:064x}" for k in range(6)], generators=["a", "b"] * 3
)


def view(kind: str, images: Images = IMAGES, **parameters: Any) -> Images:
    return corrupted(images, kind, CORRUPTIONS[kind].config(**parameters))


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_only_the_pixels_change(kind: str) -> None:
    images = view(kind)
    assert (images.ids, images.generators) == (IMAGES.ids, IMAGES.generators)
    np.testing.assert_array_equal(images.labels, IMAGES.labels)
    assert images.pixels.shape == PIXELS.shape
    assert images.pixels[:].dtype == np.uint8


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_an_image_is_the_same_whatever_is_read_with_it(kind: str) -> None:
    pixels = view(kind).pixels
    whole = pixels[:]
    for index in (3, -1, slice(1, 4), np.array([5, 0]), np.array([], np.int64), np.arange(6) > 3):
        np.testing.assert_array_equal(pixels[index], whole[index])
    swapped = view(kind, IMAGES.take(np.arange(6)[::-1]))
    np.testing.assert_array_equal(swapped.pixels[::-1], whole)


def test_what_is_random_follows_the_image_and_not_its_place_or_severity() -> None:
    twins = replace(IMAGES, pixels=PIXELS[[0] * 6])
    noisy = view("gaussian_noise", twins).pixels[:]
    assert len({image.tobytes() for image in noisy}) == 6
    grey = replace(IMAGES, pixels=np.full_like(PIXELS, 128))
    weak, strong = (view("gaussian_noise", grey, sigma=sigma).pixels[:] - 128.0 for sigma in (4, 8))
    np.testing.assert_allclose(strong, 2 * weak, atol=1.5)


def test_squares_of_one_image_draw_for_themselves() -> None:
    grey = Images(
        pixels=np.full((4, 32, 32, 3), 128, np.uint8), labels=np.array([0, 1]), ids=["a", "b"], generators=["a", "b"],
        views=2,
    )  # fmt: skip
    noisy = view("gaussian_noise", grey).pixels
    assert noisy.shape == (4, 32, 32, 3)
    assert len({image.tobytes() for image in noisy[:]}) == 4
    alone = replace(grey, pixels=grey.pixels[[0, 2]], views=1)
    np.testing.assert_array_equal(view("gaussian_noise", alone).pixels[:], noisy[[0, 2]])


@pytest.mark.parametrize(
    ("kind", "parameters", "side"),
    [
        ("resize", {"factor": 0.75, "back": False}, 24),
        ("resize", {"factor": 2, "back": False}, 64),
        ("resize", {"size": 64, "back": False}, 64),
        ("crop", {"share": 0.9, "back": False}, 29),
        ("crop", {"share": 0.75, "place": "random", "back": False}, 24),
        ("social", {"back": False}, 17),
    ],
)
def test_results_of_another_size_say_so_and_are_scored(kind: str, parameters: dict[str, Any], side: int) -> None:
    pixels = view(kind, **parameters).pixels
    assert pixels.shape == (6, side, side, 3)
    assert pixels[:].shape == (6, side, side, 3)
    assert pixels[2].shape == (side, side, 3)
    assert pixels[[]].shape == (0, side, side, 3)
    assert score(toy_detector(), pixels, batch=4).shape == (6,)


def test_a_result_that_is_too_small_for_the_detector_is_told() -> None:
    with pytest.raises(InputError, match="too small"):
        score(toy_detector(), view("resize", size=8, back=False).pixels)


def test_scores_under_identity_are_the_clean_scores_bit_for_bit() -> None:
    detector = toy_detector()
    clean = score(detector, IMAGES.pixels, batch=4)
    assert score(detector, view("identity").pixels, batch=4).tobytes() == clean.tobytes()
    assert score(detector, view("jpeg").pixels, batch=4).tobytes() != clean.tobytes()

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from scipy.ndimage import gaussian_filter
from torchvision.transforms import v2

from trainables.augment import PRESETS, Augment, Change, changed
from trainables.errors import InputError
from trainables.recipe import Recipe

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (48, 40, 3), dtype=np.uint8)
SMOOTH = np.asarray(Image.fromarray(NOISE[:6, :5]).resize((40, 48), Image.Resampling.BICUBIC))
CNN = Augment.model_validate("cnndetection")
ALL = Augment(vertical=0.5, shear=10, scale=(0.8, 1.2), blur=0.5, jpeg=0.5)


def drawn(augment: Augment, count: int = 4000) -> list[Change]:
    """Changes of so many images."""
    return [augment.draw(np.random.default_rng([7, k])) for k in range(count)]


def test_nothing_is_changed_unless_it_is_asked_for() -> None:
    assert not Augment().active
    assert not Augment(sigma=(1, 2), quality=(5, 6)).active
    assert not Augment.model_validate("none").active
    assert set(drawn(Augment(), 50)) == {Change()}
    np.testing.assert_array_equal(Change().of(NOISE), NOISE)


@pytest.mark.parametrize("one", [{"vertical": 0.1}, {"shear": 1}, {"scale": (1, 1.1)}, {"blur": 0.1}, {"jpeg": 0.1}])
def test_each_parameter_alone_changes_images(one: dict[str, Any]) -> None:
    augment = Augment(**one)
    assert augment.active
    assert any(change != Change() for change in drawn(augment, 200))


@pytest.mark.parametrize("sigma", [0.3, 0.7, 1.5, 3.0])
def test_blur_is_scipys_gaussian(sigma: float) -> None:
    expected = gaussian_filter(NOISE.astype(float), (sigma, sigma, 0), mode="mirror", truncate=4.0)
    np.testing.assert_allclose(Change(sigma=sigma).of(NOISE).astype(float), expected, atol=0.51)


def test_a_blur_wider_than_the_image_ends_at_its_edges() -> None:
    tiny = NOISE[:8, :8]
    found = Change(sigma=20.0).of(tiny).astype(float)
    assert found.std() < tiny.std() / 3
    assert found.mean() == pytest.approx(tiny.mean(), abs=8)


@pytest.mark.parametrize("quality", [30, 75, 100])
def test_jpeg_is_pillows(quality: int) -> None:
    file = io.BytesIO()
    Image.fromarray(SMOOTH).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    np.testing.assert_array_equal(Change(quality=quality).of(SMOOTH), np.asarray(Image.open(file)))


@pytest.mark.parametrize(("shear", "scale"), [(10.0, 1.0), (-7.0, 0.8), (0.0, 1.2)])
def test_the_affine_map_is_pillows(shear: float, scale: float) -> None:
    """x' = scale (x + tan(shear) y) about the centre, nearest neighbour, black outside."""
    height, width = NOISE.shape[:2]
    rows, columns = np.indices((height, width)) + 0.5
    x, y = (columns - width / 2) / scale, (rows - height / 2) / scale
    # torchvision shears by -tan: a positive angle moves the upper rows to the right.
    left = np.floor(x + np.tan(np.radians(shear)) * y + width / 2).astype(int)
    top = np.floor(y + height / 2).astype(int)
    inside = (left >= 0) & (left < width) & (top >= 0) & (top < height)
    expected = np.where(inside[..., None], NOISE[top.clip(0, height - 1), left.clip(0, width - 1)], 0)
    found = Change(shear=shear, scale=scale).of(NOISE)
    assert (found == expected).all(axis=2).mean() > 0.98  # a point between two pixels may go to either


def test_vertical_turns_upside_down() -> None:
    np.testing.assert_array_equal(Change(vertical=True).of(NOISE), NOISE[::-1])


def test_what_is_given_is_never_written_to() -> None:
    for change in (Change(), Change(vertical=True), Change(sigma=1.0), Change(quality=50), Change(scale=1.1)):
        image = NOISE.copy()
        change.of(image)[:] = 0
        np.testing.assert_array_equal(image, NOISE)


def test_changes_come_in_the_order_that_is_written_down() -> None:
    change = Change(vertical=True, shear=5.0, scale=1.1, sigma=1.0, quality=50)
    image = NOISE
    for one in (
        Change(vertical=True),
        Change(shear=5.0, scale=1.1),
        Change(sigma=1.0),
        Change(quality=50),
    ):
        image = one.of(image)
    np.testing.assert_array_equal(change.of(NOISE), image)


def test_cnndetection_blurs_and_compresses_half_of_the_images_independently() -> None:
    changes = drawn(CNN)
    blurred = np.array([change.sigma > 0 for change in changes])
    compressed = np.array([change.quality > 0 for change in changes])
    assert blurred.mean() == pytest.approx(0.5, abs=0.03)
    assert compressed.mean() == pytest.approx(0.5, abs=0.03)
    assert (blurred & compressed).mean() == pytest.approx(0.25, abs=0.03)
    sigmas = [change.sigma for change in changes if change.sigma]
    qualities = [change.quality for change in changes if change.quality]
    assert np.quantile(sigmas, [0, 0.25, 0.5, 0.75, 1]) == pytest.approx([0, 0.75, 1.5, 2.25, 3], abs=0.1)
    assert (min(qualities), max(qualities)) == (30, 100)
    assert np.bincount(qualities)[30:].min() > 8
    assert {(c.vertical, c.shear, c.scale) for c in changes} == {(False, 0.0, 1.0)}


def test_the_light_preset_changes_a_tenth() -> None:
    changes = drawn(Augment.model_validate("cnndetection_light"))
    assert np.mean([change.sigma > 0 for change in changes]) == pytest.approx(0.1, abs=0.02)
    assert np.mean([change.quality > 0 for change in changes]) == pytest.approx(0.1, abs=0.02)


def test_the_affine_preset_draws_what_torchvisions_random_affine_draws() -> None:
    theirs = v2.RandomAffine(0, shear=10, scale=(0.8, 1.2))
    torch.manual_seed(0)
    given = [theirs.make_params([torch.zeros(3, 8, 8)]) for _ in range(2000)]
    ours = drawn(Augment.model_validate("affine"), 2000)
    at = np.linspace(0, 1, 11)
    for mine, other, width in (
        ([c.shear for c in ours], [g["shear"][0] for g in given], 20),
        ([c.scale for c in ours], [g["scale"] for g in given], 0.4),
    ):
        np.testing.assert_allclose(np.quantile(mine, at), np.quantile(other, at), atol=0.06 * width)
    assert {g["shear"][1] for g in given} == {0.0}
    assert {g["angle"] for g in given} == {0.0}


def test_a_stronger_augmentation_draws_the_same_images_and_more() -> None:
    light, strong = drawn(Augment.model_validate("cnndetection_light")), drawn(CNN)
    assert all(more.sigma == less.sigma for less, more in zip(light, strong, strict=True) if less.sigma)


def test_many_images_are_changed_each_by_its_own() -> None:
    pixels = RNG.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    changes = drawn(ALL, 40)
    expected = np.stack([change.of(image) for change, image in zip(changes, pixels, strict=True)])
    np.testing.assert_array_equal(changed(pixels.copy(), changes), expected)
    assert not np.array_equal(expected, pixels)


def test_presets_are_names_for_parameters() -> None:
    for name, parameters in PRESETS.items():
        assert Augment.model_validate(name) == Augment(**parameters)
        assert Recipe.model_validate({"augment": name}).augment == Augment(**parameters)
    assert Recipe.model_validate({"augment": {"jpeg": 0.3}}).augment == Augment(jpeg=0.3)
    assert Recipe().augment == Augment()


@pytest.mark.parametrize(
    "given",
    ["cnndetectoin", {"blur": 1.5}, {"shear": 90}, {"scale": (1.2, 0.8)}, {"scale": (0, 1)}, {"sigma": (-1, 1)},
     {"quality": (0, 50)}, {"quality": (50, 101)}, {"rotate": 5}],
)  # fmt: skip
def test_parameters_without_meaning_are_refused(given: Any) -> None:
    with pytest.raises((ValidationError, InputError)):
        Augment.model_validate(given)

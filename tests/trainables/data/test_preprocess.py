from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from torchvision.transforms import InterpolationMode, v2

from trainables.data.preprocess import Preprocess
from trainables.errors import InputError
from trainables.indexing.decode import decode

PIXELS = np.random.default_rng(0).integers(0, 256, (21, 34, 3), dtype=np.uint8)
SMOOTH = Image.fromarray(PIXELS).resize((300, 200), Image.Resampling.BICUBIC)
RANDOM = {"kind": "random", "count": 5}


def squares(image: Image.Image | np.ndarray, key: str = "", **parameters: object) -> np.ndarray:
    """What an image becomes under these parameters."""
    given = image if isinstance(image, Image.Image) else Image.fromarray(image)
    return Preprocess.model_validate(parameters)(given, key)


def test_crop_takes_the_centre_untouched() -> None:
    found = squares(PIXELS, size=8)
    np.testing.assert_array_equal(found, PIXELS[None, 6:14, 13:21])
    assert found.flags.writeable


@pytest.mark.parametrize(
    "parameters",
    [{}, {"fit": "resize"}, {"fit": "resize_crop"}, {"patches": {"kind": "random", "count": 1}}],
    ids=["crop", "resize", "resize_crop", "random"],
)
def test_an_image_of_the_size_asked_for_is_left_as_it_is(parameters: dict[str, object]) -> None:
    square = PIXELS[:16, :16]
    np.testing.assert_array_equal(squares(square, size=16, **parameters), square[None])


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"size": 32}, "34x21 pixels: smaller than the crop of 32x32"),
        ({"size": 16, "patches": {"kind": "grid"}}, "34x21 pixels, tiles of 17x10: smaller than the crop of 16x16"),
        ({"size": 32, "patches": RANDOM}, "34x21 pixels: smaller than the crop of 32x32"),
    ],
)
def test_crops_refuse_a_smaller_image(parameters: dict[str, object], problem: str) -> None:
    assert Preprocess.model_validate(parameters).problem(34, 21) == problem
    with pytest.raises(InputError, match=problem):
        squares(PIXELS, **parameters)


@pytest.mark.parametrize("fit", ["resize", "resize_crop"])
def test_scaling_takes_an_image_of_any_size_but_not_less_than_a_pixel_a_tile(fit: str) -> None:
    assert squares(PIXELS[:1, :1], size=8, fit=fit).shape == (1, 8, 8, 3)
    grid = Preprocess.model_validate({"size": 8, "fit": fit, "patches": {"kind": "grid", "side": 4}})
    assert grid.problem(4, 4) == ""
    assert grid.problem(3, 900) == "3x900 pixels, tiles of 0x225: too small to divide by 4"


def test_a_strip_is_refused_before_it_fills_the_memory() -> None:
    strip = Preprocess(size=256, fit="resize_crop")
    assert "scaled to 5120000x256, more than" in strip.problem(20_000, 1)
    assert Preprocess(size=256, fit="resize").problem(20_000, 1) == ""


@pytest.mark.parametrize("filter_", ["bilinear", "bicubic", "lanczos", "box"])
def test_resize_keeps_the_mean_whatever_the_filter(filter_: str) -> None:
    square = squares(PIXELS, size=16, fit="resize", filter=filter_)
    assert square.shape == (1, 16, 16, 3)
    assert square.dtype == np.uint8
    assert square.mean() == pytest.approx(PIXELS.mean(), abs=4)


def test_box_resize_is_the_mean_of_blocks() -> None:
    even = PIXELS[:16, :32]
    square = squares(even, size=8, fit="resize", filter="box")[0]
    expected = even.reshape(8, 2, 8, 4, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(square, expected, atol=1.01)


@pytest.mark.parametrize(("size", "shorter"), [(64, None), (112, 128), (224, 256)])
@pytest.mark.parametrize("filter_", ["bilinear", "bicubic"])
def test_resize_crop_is_what_torchvision_does(size: int, shorter: int | None, filter_: str) -> None:
    found = squares(SMOOTH, size=size, fit="resize_crop", shorter=shorter, filter=filter_)[0]
    theirs = v2.Compose([v2.Resize(shorter or size, InterpolationMode(filter_)), v2.CenterCrop(size)])
    tensor = torch.from_numpy(np.array(SMOOTH)).permute(2, 0, 1)
    for expected in (np.asarray(theirs(SMOOTH)), theirs(tensor).permute(1, 2, 0).numpy()):
        np.testing.assert_allclose(found.astype(int), expected, atol=1)


@pytest.mark.parametrize("side", [2, 3, 5])
def test_tiles_of_a_grid_are_the_whole_image(side: int) -> None:
    patches = Preprocess.model_validate({"size": 8, "fit": "resize", "patches": {"kind": "grid", "side": side}}).patches
    times_covered = np.zeros((21, 34), int)
    sizes = set()
    for left, top, right, bottom in patches.boxes(34, 21):
        times_covered[top:bottom, left:right] += 1
        sizes |= {(right - left) - 34 // side, (bottom - top) - 21 // side}
    assert (times_covered == 1).all()
    assert sizes <= {0, 1}


def test_quadrants_come_row_by_row_untouched() -> None:
    even = PIXELS[:20, :20]
    found = squares(even, size=10, patches={"kind": "grid"})
    expected = [even[:10, :10], even[:10, 10:], even[10:, :10], even[10:, 10:]]
    np.testing.assert_array_equal(found, np.stack(expected))


def test_random_squares_are_parts_of_the_image_fixed_by_its_content_and_the_seed() -> None:
    given = {"size": 8, "patches": RANDOM}
    found = squares(PIXELS, "one", **given)
    windows = np.lib.stride_tricks.sliding_window_view(PIXELS, (8, 8, 3)).reshape(-1, 8, 8, 3)
    assert all((windows == square).all(axis=(1, 2, 3)).any() for square in found)
    np.testing.assert_array_equal(squares(PIXELS, "one", **given), found)
    assert not np.array_equal(squares(PIXELS, "another", **given), found)
    assert not np.array_equal(squares(PIXELS, "one", size=8, patches={**RANDOM, "seed": 1}), found)
    assert len({square.tobytes() for square in found}) > 1


def test_random_places_are_the_same_everywhere() -> None:
    patches = Preprocess.model_validate({"size": 8, "patches": {**RANDOM, "count": 2}}).patches
    # Worked out from SHA-256 of "0/key/0" and "0/key/1" alone: another rule would make other images of old ids.
    assert list(patches.boxes(100, 50, 8, "key")) == [(53, 14, 61, 22), (15, 29, 23, 37)]


def test_random_places_are_uniform_and_reach_every_edge() -> None:
    patches = Preprocess.model_validate({"size": 8, "patches": {"kind": "random", "count": 2000}}).patches
    boxes = np.array(list(patches.boxes(11, 9, 8, "key")))
    assert np.bincount(boxes[:, 0]).shape == (4,)
    assert np.bincount(boxes[:, 0]).min() > 430
    assert np.bincount(boxes[:, 1]).min() > 900
    np.testing.assert_array_equal(boxes[:, 2:] - boxes[:, :2], 8)


@pytest.mark.parametrize(("codec", "format_"), [("jpeg96", "JPEG"), ("jpeg30", "JPEG"), ("webp80", "WEBP")])
@pytest.mark.parametrize("patches", [None, {"kind": "grid"}])
def test_reencoding_comes_last_and_square_by_square(codec: str, format_: str, patches: object) -> None:
    given = {"size": 32, "fit": "resize", "patches": patches}
    found = squares(SMOOTH, **given, reencode=codec)
    for square, plain in zip(found, squares(SMOOTH, **given), strict=True):
        file = io.BytesIO()
        options = {"subsampling": 2} if format_ == "JPEG" else {}
        Image.fromarray(plain).save(file, format_, quality=int(codec[4:]), **options)
        np.testing.assert_array_equal(square, np.asarray(Image.open(file).convert("RGB")))


def test_a_files_own_words_do_not_get_in_the_way_of_reencoding() -> None:
    image = SMOOTH.copy()
    image.info["comment"] = b"x" * 70_000
    np.testing.assert_array_equal(squares(image, reencode="jpeg96"), squares(SMOOTH, reencode="jpeg96"))


def test_real_and_fake_go_through_the_same_chain(tmp_path: Path) -> None:
    """Two files of the same pixels, a PNG and a lossless WebP: which class each is makes no difference."""
    SMOOTH.save(tmp_path / "real.png")
    SMOOTH.save(tmp_path / "fake.webp", lossless=True)
    real, fake = (decode((tmp_path / name).read_bytes()).image for name in ("real.png", "fake.webp"))
    chain = {"size": 32, "patches": RANDOM, "reencode": "jpeg96"}
    np.testing.assert_array_equal(squares(real, "key", **chain), squares(fake, "key", **chain))


@pytest.mark.parametrize(
    "parameters",
    [
        {"shorter": 64},
        {"fit": "resize", "shorter": 64},
        {"fit": "resize_crop", "size": 64, "shorter": 63},
        {"fit": "resize", "patches": RANDOM},
        {"reencode": "jpeg0"},
        {"reencode": "jpeg101"},
        {"reencode": "png"},
        {"patches": {"kind": "grid", "side": 1}},
        {"patches": {"kind": "random", "count": 0}},
        {"patches": {**RANDOM, "top": 0}},
        {"patches": {"kind": "grid", "top": 2}},
    ],
)
def test_parameters_without_meaning_are_refused(parameters: dict[str, object]) -> None:
    with pytest.raises((ValidationError, InputError)):
        Preprocess.model_validate(parameters)


@pytest.mark.parametrize(
    ("patches", "problem"),
    [
        ({"count": 600, "top": 800}, r"of 600 squares no 800 can count(.|\n)*count: 600, top: 800"),
        ({"count": 1, "top": 2}, r"of 1 squares no 2 can count(.|\n)*count: 1, top: 2"),
        ({"count": 5, "training": 6}, r"of 5 squares no 6 can be trained on(.|\n)*count: 5, training: 6"),
        ({"training": 5}, r"of 4 squares no 5 can be trained on(.|\n)*count: 4, training: 5"),
    ],
)
def test_more_squares_than_there_are_can_neither_count_nor_be_trained_on(
    patches: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        Preprocess.model_validate({"patches": {"kind": "random", **patches}})


def test_without_votes_nothing_is_said_of_them() -> None:
    """The parameters are part of every cell's id: what says nothing must not change them."""
    given = (None, "random", {**RANDOM, "top": 3}, {**RANDOM, "training": 2})
    told = [Preprocess.model_validate({"patches": patches}) for patches in given]
    assert [image.top for image in told] == [None, None, 3, None]
    plain, four, voting, training = (image.model_dump(mode="json")["patches"] for image in told)
    assert plain is None
    assert four == {"kind": "random", "count": 4, "seed": 0}
    assert voting == {"kind": "random", "count": 5, "seed": 0, "top": 3}
    assert training == {"kind": "random", "count": 5, "seed": 0, "training": 2}
    assert all(Preprocess.model_validate(image.model_dump(mode="json")) == image for image in told)


@pytest.mark.parametrize("said", [{"top": 3}, {"training": 2}])
def test_votes_and_training_change_no_square(said: dict[str, int]) -> None:
    plain, other = (squares(PIXELS, "key", size=8, patches={**RANDOM, **more}) for more in ({}, said))
    np.testing.assert_array_equal(plain, other)


def test_training_sees_the_first_squares_of_an_image() -> None:
    given = {"size": 8, "patches": {**RANDOM, "seed": 3, "top": 4, "training": 2}, "reencode": "jpeg80"}
    image, preprocess = Image.fromarray(PIXELS), Preprocess.model_validate(given)
    np.testing.assert_array_equal(preprocess.cutting(training=True)(image, "key"), preprocess(image, "key")[:2])


@pytest.mark.parametrize("training", [True, False])
def test_what_cuts_squares_does_not_say_how_they_vote(training: bool) -> None:
    said = [{**RANDOM, **more} for more in ({}, {"top": 3}, {"training": 5}, {"top": 5, "training": 5})]
    cuts = [Preprocess.model_validate({"patches": patches}).cutting(training=training) for patches in said]
    assert cuts == [Preprocess.model_validate({"patches": RANDOM})] * 4
    others = (Preprocess(), Preprocess.model_validate({"patches": "grid"}))
    assert all(image.cutting(training=training) == image for image in others)


def test_views() -> None:
    assert Preprocess().views == 1
    assert Preprocess.model_validate({"patches": {"kind": "grid", "side": 3}}).views == 9
    assert Preprocess.model_validate({"patches": RANDOM}).views == 5

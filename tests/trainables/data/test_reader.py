from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.written import manifest_of
from trainables.contract import Split
from trainables.data.preprocess import Preprocess
from trainables.data.reader import Reader
from trainables.errors import InputError, LabelLeakError

NAMES = ["coco", "ffhq", "stylegan"]
CROP = Preprocess(size=16)
SQUARES = {"kind": "random", "count": 12, "top": 7}
TWELVE = Preprocess.model_validate({"size": 16, "patches": SQUARES})
FEWER = Preprocess.model_validate({"size": 16, "patches": {**SQUARES, "training": 2}})
TRAINED_ON = [Split.TRAIN, Split.ADAPT, Split.FEW, Split.FUSION]


@pytest.fixture
def reader(folder, tmp_path):
    return Reader(manifest_of(folder), CROP, tmp_path / "cache")


def test_sets_come_in_the_order_they_are_asked_for(reader):
    images = reader.images(["stylegan", "coco", "ffhq"], Split.TEST)
    assert images.generators == ["stylegan"] * 4 + ["coco"] * 4 + ["ffhq"] * 4
    assert images.labels.tolist() == [1] * 4 + [0] * 8
    assert images.labels.dtype == np.int64
    assert images.pixels.shape == (12, 16, 16, 3)
    again = reader.images(["coco"], Split.TEST)
    np.testing.assert_array_equal(images.pixels[4:8], again.pixels[:])
    assert images.ids[4:8] == again.ids


def test_squares_of_an_image_have_its_digest_label_and_generator(folder, tmp_path):
    images = Reader(manifest_of(folder), TWELVE, tmp_path).images(["stylegan", "coco"], Split.TEST)
    assert images.top == 7
    assert (images.views, len(images), images.pixels.shape) == (12, 96, (96, 16, 16, 3))
    assert images.labels.tolist() == [1] * 48 + [0] * 48
    assert images.generators == ["stylegan"] * 48 + ["coco"] * 48
    for digest, squares in groupby(images.ids, key=lambda square: square.split("/")[0]):
        assert len(digest) == 64
        assert list(squares) == [f"{digest}/{k}" for k in range(12)]


@pytest.mark.parametrize("preprocess", [CROP, TWELVE], ids=["one square", "twelve"])
def test_unlabelled_images_are_the_same_ones_in_an_order_that_tells_nothing(folder, tmp_path, preprocess):
    reader = Reader(manifest_of(folder), preprocess, tmp_path)
    images, unlabelled = reader.images(NAMES, Split.TEST), reader.unlabelled(NAMES, Split.TEST)
    digests = [square.split("/")[0] for square in unlabelled.ids]
    assert digests == sorted(digests)
    assert sorted(unlabelled.ids) == sorted(images.ids)
    place = {square: k for k, square in enumerate(images.ids)}
    np.testing.assert_array_equal(unlabelled.pixels[:], images.pixels[:][[place[i] for i in unlabelled.ids]])
    with pytest.raises(LabelLeakError):
        _ = unlabelled.labels


@pytest.mark.parametrize("preprocess", [CROP, TWELVE], ids=["one square", "twelve"])
def test_an_image_that_two_real_sources_have_in_common_counts_once(folder, tmp_path, preprocess):
    shutil.copy(folder / "real/ffhq/0.png", folder / "real/coco/copy.png")
    Image.open(folder / "real/ffhq/1.png").save(folder / "real/coco/other file, same pixels.bmp")
    reader = Reader(manifest_of(folder), preprocess, tmp_path)
    coco, ffhq = (reader.images([name], Split.TEST) for name in ("coco", "ffhq"))
    assert (len(coco), len(ffhq)) == (6 * preprocess.views, 4 * preprocess.views)
    for names, first, second in ((["coco", "ffhq"], coco, ffhq), (["ffhq", "coco"], ffhq, coco)):
        both = reader.images(names, Split.TEST)
        shown = set(_pixel_hashes(manifest_of(folder), names[0]))
        hashes = _pixel_hashes(manifest_of(folder), names[1])
        others = [k for k in range(len(second)) if hashes[k // preprocess.views] not in shown]
        assert both.ids == [*first.ids, *(second.ids[k] for k in others)]
        assert both.generators == [*first.generators, *(second.generators[k] for k in others)]
        assert len(both.labels) == len(both.ids) == len(both.pixels) == 8 * preprocess.views
        np.testing.assert_array_equal(both.pixels[:], np.concatenate([first.pixels[:], second.pixels[:][others]]))
    assert len(set(reader.unlabelled(NAMES, Split.TEST).ids)) == len(reader.unlabelled(NAMES, Split.TEST).ids)


@pytest.mark.parametrize("split", TRAINED_ON)
def test_training_sees_the_first_squares_of_every_image(folder, tmp_path, split):
    manifest = manifest_of(folder, split=split)
    fewer, all_ = (Reader(manifest, preprocess, tmp_path) for preprocess in (FEWER, TWELVE))
    for found, whole in (
        (fewer.images(NAMES, split), all_.images(NAMES, split)),
        (fewer.unlabelled(NAMES, split), all_.unlabelled(NAMES, split)),
    ):
        assert (len(found), len(whole)) == (12 * 2, 12 * 12)
        first = [12 * image + square for image in range(12) for square in range(2)]
        np.testing.assert_array_equal(found.pixels[:], whole.pixels[:][first])
        assert found.ids == [whole.ids[k] for k in first]
    images = fewer.images(NAMES, split, {"coco": 3})
    assert (images.views, images.top, len(images)) == (2, None, 11 * 2)
    assert images.generators == ["coco"] * 6 + ["ffhq"] * 8 + ["stylegan"] * 8
    assert images.labels.tolist() == [0] * 14 + [1] * 8


@pytest.mark.parametrize("split", [Split.VAL, Split.TEST])
def test_what_a_detector_is_judged_by_is_seen_whole(folder, tmp_path, split):
    manifest = manifest_of(folder, split=split)
    fewer, all_ = (Reader(manifest, preprocess, tmp_path) for preprocess in (FEWER, TWELVE))
    found, whole = (reader.images(NAMES, split) for reader in (fewer, all_))
    assert (found.views, found.top, found.ids) == (12, 7, whole.ids)
    np.testing.assert_array_equal(found.pixels[:], whole.pixels[:])
    assert len(list(tmp_path.glob("*.npy"))) == 3  # of three sets, whatever training sees


@pytest.mark.parametrize("split", TRAINED_ON)
def test_images_that_are_trained_on_can_be_seen_whole_and_are_not_kept(folder, tmp_path, split):
    manifest = manifest_of(folder, split=split)
    reader, all_ = Reader(manifest, FEWER, tmp_path / "fewer"), Reader(manifest, TWELVE, tmp_path / "all")
    found, whole = (each.unlabelled(NAMES, split, whole=True) for each in (reader, all_))
    assert found.ids == whole.ids
    np.testing.assert_array_equal(found.pixels[:], whole.pixels[:])
    images = reader.images(NAMES, split, whole=True)
    assert (images.views, images.top) == (12, 7)
    assert not (tmp_path / "fewer").exists()
    assert len(list((tmp_path / "all").glob("*.npy"))) == 3


def test_squares_that_training_does_not_see_take_no_room(folder, tmp_path):
    images = Reader(manifest_of(folder, split=Split.TRAIN), FEWER, tmp_path, 3 * 4 * 2 * 16 * 16 * 3)
    assert all(isinstance(part, np.memmap) for part in images.images(NAMES, Split.TRAIN).pixels.parts)
    assert [np.load(file).shape for file in tmp_path.glob("*.npy")] == [(8, 16, 16, 3)] * 3


def _pixel_hashes(manifest, generator):
    """Of one generator's images, in the order of their digests."""
    rows = manifest.frame[manifest.frame["generator"] == generator]
    return rows.sort_values("digest")["pixels"].tolist()


def test_sets_are_cached_in_their_order_until_the_budget_is_spent(folder, tmp_path):
    each = 4 * 16 * 16 * 3
    for budget, cached in ((0, 0), (each - 1, 0), (each, 1), (2.5 * each, 2), (3 * each, 3)):
        cache = tmp_path / str(budget)
        images = Reader(manifest_of(folder), CROP, cache, budget).images(NAMES, Split.TEST)
        kinds = [isinstance(part, np.memmap) for part in images.pixels.parts]
        assert kinds == [True] * cached + [False] * (3 - cached)
        assert len(list(cache.glob("*.npy"))) == cached


def test_a_set_that_is_too_large_leaves_its_room_to_the_next(folder, tmp_path):
    shutil.copy(folder / "real/ffhq/0.png", folder / "real/coco/more.png")
    (folder / "real/ffhq/0.png").unlink()
    images = Reader(manifest_of(folder), CROP, tmp_path / "cache", 4 * 16 * 16 * 3).images(NAMES, Split.TEST)
    assert [len(part) for part in images.pixels.parts] == [5, 3, 4]
    assert [isinstance(part, np.memmap) for part in images.pixels.parts] == [False, True, False]


def test_a_generator_that_is_not_there(reader):
    with pytest.raises(InputError, match="did you mean 'coco'"):
        reader.images(["cooc"], Split.TEST)


def test_a_split_without_images(reader, folder):
    with pytest.raises(InputError, match="no images in the split `few`") as error:
        reader.images(["coco"], Split.FEW)
    assert error.value.where == str(folder)


def test_images_too_small_for_the_crop_are_left_out(folder, tmp_path):
    reader = Reader(manifest_of(folder), Preprocess(size=128), tmp_path)
    with pytest.raises(InputError, match="not in the data"):
        reader.images(["coco"], Split.TEST)


def test_a_reader_and_its_images_travel_light(reader):
    images = reader.images(["stylegan", "coco"], Split.TEST)
    sent = pickle.dumps(images)
    assert len(sent) < 4_000
    np.testing.assert_array_equal(pickle.loads(sent).pixels[:], images.pixels[:])
    assert pickle.loads(pickle.dumps(reader)).images(["coco"], Split.TEST).ids == images.ids[4:]


def test_labels_come_from_the_manifest_alone(folder, tmp_path):
    manifest = manifest_of(folder)
    swapped = replace(manifest, frame=manifest.frame.assign(label=1 - manifest.frame["label"]))
    images = Reader(swapped, CROP, tmp_path).images(NAMES, Split.TEST)
    assert images.labels.tolist() == [1] * 8 + [0] * 4
    np.testing.assert_array_equal(
        images.pixels[:], Reader(manifest, CROP, tmp_path).images(NAMES, Split.TEST).pixels[:]
    )

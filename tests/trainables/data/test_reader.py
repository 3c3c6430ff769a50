import pickle

import numpy as np
import pytest

from trainables.contract import Split
from trainables.data.folder import index_folder
from trainables.data.preprocess import Preprocess
from trainables.data.reader import Reader
from trainables.data.splits import Fractions
from trainables.errors import InputError, LabelLeakError


@pytest.fixture(scope="module")
def reader(small_data, tmp_path_factory):
    manifest = index_folder(small_data, splits=Fractions())
    return Reader(manifest, Preprocess(size=32), tmp_path_factory.mktemp("cache"))


def test_sets_come_in_the_order_they_are_asked_for(reader):
    images = reader.images(["tconv", "compact", "reflex"], Split.TEST)
    assert images.generators == ["tconv"] * 12 + ["compact"] * 6 + ["reflex"] * 6
    assert images.labels.tolist() == [1] * 12 + [0] * 12
    assert images.pixels.shape == (24, 32, 32, 3)
    again = reader.images(["compact"], Split.TEST)
    np.testing.assert_array_equal(images.pixels[12:18], again.pixels[:])
    assert images.ids[12:18] == again.ids


def test_no_image_is_in_two_splits_or_generators(reader):
    names = ["compact", "reflex", "tconv", "nearest", "bilinear", "latent8"]
    ids = [i for split in Split for i in reader.images(names, split).ids]
    assert len(ids) == len(set(ids)) == 260


def test_unlabelled_images_are_the_same_ones_in_an_order_that_tells_nothing(reader):
    names = ["compact", "reflex", "nearest"]
    images, unlabelled = reader.images(names, Split.ADAPT), reader.unlabelled(names, Split.ADAPT)
    assert list(unlabelled.ids) == sorted(images.ids)
    place = {digest: k for k, digest in enumerate(images.ids)}
    np.testing.assert_array_equal(unlabelled.pixels[:], images.pixels[:][[place[i] for i in unlabelled.ids]])
    with pytest.raises(LabelLeakError):
        _ = unlabelled.labels


def test_a_generator_that_is_not_there(reader):
    with pytest.raises(InputError, match="did you mean 'tconv'"):
        reader.images(["tcnov"], Split.TEST)


def test_a_split_without_images(small_data, tmp_path):
    none_to_train = index_folder(small_data, splits=Fractions())
    frame = none_to_train.frame
    kept = frame[(frame["generator"] != "tconv") | (frame["split"] != "few")]
    reader = Reader(type(none_to_train)(small_data, kept), Preprocess(size=32), tmp_path)
    with pytest.raises(InputError, match="no images in the split `few`"):
        reader.images(["tconv"], Split.FEW)


def test_images_too_small_for_the_crop_are_left_out(small_data, tmp_path):
    reader = Reader(index_folder(small_data, splits=Fractions()), Preprocess(size=128), tmp_path)
    with pytest.raises(InputError, match="not in the data"):
        reader.images(["tconv"], Split.TEST)


def test_a_reader_and_its_images_travel_light(reader):
    images = reader.images(["tconv", "compact"], Split.TRAIN)
    sent = pickle.dumps(images)
    assert len(sent) < 10_000
    np.testing.assert_array_equal(pickle.loads(sent).pixels[:], images.pixels[:])
    assert pickle.loads(pickle.dumps(reader)).images(["tconv"], Split.TRAIN).ids == images.ids[:16]

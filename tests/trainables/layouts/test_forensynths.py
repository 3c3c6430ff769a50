import pytest

from tests.trainables.layouts.conftest import plant, said, scanned
from trainables.errors import InputError
from trainables.indexing import walk


def test_what_the_folders_say(tree):
    assert said(scanned("forensynths", tree)) == {
        "train/progan/train/0_real/0.png": {
            "label": 0, "generator": "progan-real", "part": "train", "partner": "progan",
        },
        "train/progan/train/1_fake/1.png": {"label": 1, "generator": "progan", "part": "train", "family": "gan"},
        "test/stylegan/car/1_fake/deep/2.png": {"label": 1, "generator": "stylegan", "part": "test", "family": "gan"},
        "test/crn/0_real/3.png": {"label": 0, "generator": "crn-real", "part": "test", "partner": "crn"},
        "test/crn/1_fake/4.png": {"label": 1, "generator": "crn", "part": "test"},
    }  # fmt: skip


def test_train_is_a_category_of_progan_and_a_part_only_above_the_generator(tmp_path):
    plant(tmp_path, "progan/train/0_real/0.png", "progan/train/1_fake/0.png")
    assert {image.part for image in scanned("forensynths", tmp_path)} == {""}


def test_reals_that_come_without_fakes_serve_every_generator(tmp_path):
    plant(tmp_path, "imagenet/0_real/0.png", "ldm_200_cfg/1_fake/0.png", "guided/1_fake/0.png")
    assert said(scanned("forensynths", tmp_path)) == {
        "imagenet/0_real/0.png": {"label": 0, "generator": "imagenet"},
        "ldm_200_cfg/1_fake/0.png": {"label": 1, "generator": "ldm_200_cfg", "family": "dm"},
        "guided/1_fake/0.png": {"label": 1, "generator": "guided", "family": "dm"},
    }


def test_reals_come_with_fakes_of_another_category_or_part(tmp_path):
    plant(tmp_path, "val/biggan/0_real/0.png", "test/biggan/cat/1_fake/0.png")
    partners = {image.path: image.partner for image in scanned("forensynths", tmp_path)}
    assert partners["val/biggan/0_real/0.png"] == "biggan"


def test_the_folder_of_one_generator_has_its_own_name(tmp_path):
    root = plant(tmp_path / "whichfaceisreal", "0_real/0.png", "1_fake/0.png")
    assert said(scanned("forensynths", root)) == {
        "0_real/0.png": {"label": 0, "generator": "whichfaceisreal-real", "partner": "whichfaceisreal"},
        "1_fake/0.png": {"label": 1, "generator": "whichfaceisreal", "family": "gan"},
    }


def test_a_folder_of_reals_alone_has_its_own_name(tmp_path):
    root = plant(tmp_path / "laion", "0_real/0.png")
    assert said(scanned("forensynths", root)) == {"0_real/0.png": {"label": 0, "generator": "laion"}}


def test_an_empty_class_is_refused_by_name(tree):
    (tree / "test/stylegan/car/0_real").mkdir()
    with pytest.raises(InputError, match="no images in this folder") as error:
        scanned("forensynths", tree)
    assert error.value.where == str(tree / "test/stylegan/car/0_real")


@pytest.mark.parametrize("path", ["test/crn/2_other/0.png", "a/b/c/1_fake/0.png", "train/1_fake/0.png", "0.png"])
def test_images_outside_a_class_folder_are_refused(tree, path):
    plant(tree, path)
    with pytest.raises(InputError, match="1 images lie outside") as error:
        scanned("forensynths", tree)
    assert error.value.value == path


def test_fakes_are_found_among_any_number_of_folders(tree, monkeypatch):
    plant(tree, "test/stylegan/car/0_real/5.png")
    monkeypatch.setattr(walk, "_GLANCE_ENTRIES", 0)
    partners = {image.path: image.partner for image in scanned("forensynths", tree) if image.label == 0}
    assert partners["test/stylegan/car/0_real/5.png"] == "stylegan"
    assert partners["test/crn/0_real/3.png"] == "crn"

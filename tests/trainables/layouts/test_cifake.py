import pytest

from tests.trainables.layouts.conftest import plant, said, scanned
from trainables.errors import InputError

FAKE = {"label": 1, "generator": "sd14", "family": "dm", "source": "cifar10"}
REAL = {"label": 0, "generator": "cifar10"}


def test_what_the_folders_say(tree):
    assert said(scanned("cifake", tree)) == {
        "train/REAL/0 (2).jpg": {**REAL, "part": "train"},
        "train/FAKE/0.jpg": {**FAKE, "part": "train"},
        "test/REAL/1.jpg": {**REAL, "part": "test"},
        "test/FAKE/1.jpg": {**FAKE, "part": "test"},
    }


def test_other_sets_are_read_if_the_study_names_what_is_in_them(tmp_path):
    plant(tmp_path, "valid/real/0.png", "train/fake/0.png")
    with pytest.raises(InputError, match=r"lie outside(.|\n)*valid/real/0.png"):
        scanned("cifake", tmp_path)
    (tmp_path / "valid").rename(tmp_path / "val")
    assert said(scanned("cifake", tmp_path, real="ffhq", fake="stylegan", family="gan")) == {
        "val/real/0.png": {"label": 0, "generator": "ffhq", "part": "val"},
        "train/fake/0.png": {"label": 1, "generator": "stylegan", "family": "gan", "source": "ffhq", "part": "train"},
    }


def test_one_name_for_both_classes_is_refused(tree):
    with pytest.raises(InputError, match="one name"):
        scanned("cifake", tree, real="cifar10", fake="cifar10")


def test_a_class_without_images_is_refused(tmp_path):
    plant(tmp_path, "train/REAL/0.png")
    (tmp_path / "train/FAKE").mkdir()
    with pytest.raises(InputError, match="no images in this folder") as error:
        scanned("cifake", tmp_path)
    assert error.value.where == str(tmp_path / "train/FAKE")

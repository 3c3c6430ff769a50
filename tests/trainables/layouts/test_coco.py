import pytest

from tests.trainables.layouts.conftest import plant, said, scanned
from trainables.errors import InputError
from trainables.indexing import walk


def test_what_the_folders_say(tree):
    photograph = {"label": 0, "generator": "coco", "source": "coco"}
    assert said(scanned("coco", tree)) == {
        "train2017/000000248242.jpg": {**photograph, "group": "coco-248242"},
        "coco/val/COCO_val2014_000000000139.jpg": {**photograph, "group": "coco-139"},
        "sd21/fake_image_248242.jpg": {"label": 1, "generator": "sd21", "source": "coco", "group": "coco-248242"},
        "sd21/256/000000000139_1.png": {"label": 1, "generator": "sd21", "source": "coco", "group": "coco-139"},
        "dcgan/sample.png": {"label": 1, "generator": "dcgan", "source": "coco"},
    }


@pytest.mark.parametrize(
    ("fake", "group"),
    [
        ("248242.png", "coco-248242"),
        ("000000248242_3.png", "coco-248242"),
        ("sd21_248242_seed9.png", "coco-248242"),
        ("seed1234567_248242.png", "coco-248242"),
        ("image_256x256real_image_248242.jpg.jpg", "coco-248242"),
        ("generated_image_17.png", ""),
        ("248242000.png", ""),
        ("cat.png", ""),
    ],
)
def test_a_fake_is_tied_to_the_photograph_whose_number_it_carries(tmp_path, fake, group):
    plant(tmp_path, "train2017/000000248242.jpg", f"sd21/{fake}")
    photograph, generated = sorted(scanned("coco", tmp_path))[::-1]
    assert (photograph.label, photograph.group) == (0, "coco-248242")
    assert (generated.label, generated.group) == (1, group)


@pytest.mark.parametrize("name", ["coco_sd21", "coco-glide", "coco2017_fake"])
def test_a_generator_with_coco_in_its_name_is_a_generator(tree, name):
    plant(tree, f"{name}/7.png")
    labels = {image.generator: image.label for image in scanned("coco", tree)}
    assert (labels["coco"], labels[name]) == (0, 1)


def test_photographs_are_never_taken_for_fakes_in_silence(tree):
    plant(tree, "ffhq/0.png")
    with pytest.raises(InputError, match="named for photographs"):
        scanned("coco", tree)


def test_photographs_under_another_name(tmp_path):
    plant(tmp_path, "photographs/000000000139.jpg", "sd21/139.png")
    labels = {image.generator: image.label for image in scanned("coco", tmp_path, real=("Photographs",))}
    assert labels == {"coco": 0, "sd21": 1}


def test_photographs_are_found_among_any_number_of_folders(tree, monkeypatch):
    monkeypatch.setattr(walk, "_GLANCE_ENTRIES", 0)
    assert sum(image.group == "coco-139" for image in scanned("coco", tree)) == 2

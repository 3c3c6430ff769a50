import pytest
from pydantic import ValidationError

from tests.trainables.layouts.conftest import config_of, plant, said, scanned
from trainables.errors import InputError


def test_what_the_folders_say(tree):
    real = {"label": 0, "generator": "Midjourney-real", "partner": "Midjourney"}
    assert said(scanned("genimage", tree)) == {
        "Midjourney/imagenet_midjourney/train/ai/0.png": {
            "label": 1, "generator": "Midjourney", "family": "dm", "part": "train",
        },
        "Midjourney/imagenet_midjourney/train/nature/1.JPEG": {**real, "part": "train"},
        "Midjourney/imagenet_midjourney/val/nature/n01/2.JPEG": {**real, "part": "test"},
        "imagenet_ai_0419_biggan/val/ai/3.png": {
            "label": 1, "generator": "imagenet_ai_0419_biggan", "family": "gan", "part": "test",
        },
    }  # fmt: skip


def test_val_is_for_validation_if_the_study_says_so(tree):
    parts = {image.path.split("/")[-3]: image.part for image in scanned("genimage", tree, val_is="val")}
    assert parts["val"] == "val"
    with pytest.raises(ValidationError):
        config_of("genimage", val_is="train")


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("stable_diffusion_v_1_4", "dm"), ("imagenet_ai_0424_sdv5", "dm"), ("ADM", "dm"),
        ("imagenet_ai_0508_adm", "dm"),
        ("imagenet_glide", "dm"), ("VQDM", "dm"), ("wukong", "dm"), ("BigGAN", "gan"), ("my_own_generator", ""),
    ],
)  # fmt: skip
def test_the_families_of_the_published_generators(tmp_path, name, family):
    (found,) = scanned("genimage", plant(tmp_path, f"{name}/train/ai/0.png"))
    assert found.family == family


def test_one_generators_folder_and_folders_without_parts(tmp_path):
    root = plant(tmp_path / "sdv4", "train/ai/0.png", "val/nature/1.png")
    assert said(scanned("genimage", root)) == {
        "train/ai/0.png": {"label": 1, "generator": "sdv4", "family": "dm", "part": "train"},
        "val/nature/1.png": {"label": 0, "generator": "sdv4-real", "part": "test", "partner": "sdv4"},
    }
    (found,) = scanned("genimage", plant(tmp_path / "flux", "flux/ai/0.png"))
    assert (found.generator, found.part) == ("flux", "")


def test_a_set_without_images_and_images_elsewhere_are_refused(tree):
    plant(tree, "Midjourney/loose.png")
    with pytest.raises(InputError, match=r"lie outside(.|\n)*Midjourney/loose.png"):
        scanned("genimage", tree)
    (tree / "wukong/train/ai").mkdir(parents=True)
    with pytest.raises(InputError, match="no images in this folder") as error:
        scanned("genimage", tree)
    assert error.value.where == str(tree / "wukong/train/ai")

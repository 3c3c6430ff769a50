import pytest

from tests.trainables.layouts.conftest import plant, said, scanned
from trainables.errors import InputError


def test_what_the_folders_say(tree):
    assert said(scanned("vmr", tree)) == {
        "FFHQ/00000/0.png": {"label": 0, "generator": "FFHQ"},
        "stylegan1/0.png": {"label": 1, "generator": "stylegan1"},
        "stylegan2/psi-0.5/0.png": {"label": 1, "generator": "stylegan2"},
    }


def test_photographs_are_never_taken_for_fakes_in_silence(tree):
    plant(tree, "CelebA/0.png")
    with pytest.raises(InputError, match="named for photographs") as error:
        scanned("vmr", tree)
    assert error.value.where == str(tree / "CelebA")
    found = said(scanned("vmr", tree, real=("ffhq", "celeba")))
    assert found["CelebA/0.png"] == {"label": 0, "generator": "CelebA"}


def test_images_of_no_folder_are_refused(tree):
    plant(tree, "0.png")
    with pytest.raises(InputError, match="1 images lie outside"):
        scanned("vmr", tree)


def test_an_empty_generator_is_refused(tree):
    (tree / "sd14").mkdir()
    with pytest.raises(InputError, match="no images in this folder"):
        scanned("vmr", tree)

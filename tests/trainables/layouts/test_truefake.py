import pytest

from tests.trainables.layouts.conftest import plant, said, scanned
from trainables.errors import InputError


def test_what_the_folders_say(tree):
    real = {"label": 0, "generator": "FFHQ", "group": "real/FFHQ/12"}
    gan = {"label": 1, "generator": "StyleGAN", "family": "gan", "group": "fake/StyleGAN/34"}
    assert said(scanned("truefake", tree)) == {
        "TrueFace_PreSocial/Real/FFHQ/00012.png": {**real, "channel": "presocial"},
        "TrueFace_PostSocial/Facebook/0_Real/FFHQ/00012_FB.jpg": {**real, "channel": "facebook"},
        "TrueFace_PreSocial/Fake/StyleGAN1/images-psi-0.5/seed0034.png": {**gan, "channel": "presocial"},
        "TrueFace_PostSocial/Telegram/1_Fake/StyleGAN/images-psi-0.7/000034_TL.jpeg": {**gan, "channel": "telegram"},
        "Test/X/Fake/FLUX.1/animals/7.jpg": {
            "label": 1, "generator": "FLUX.1", "family": "dm", "channel": "twitter", "part": "test",
            "group": "fake/FLUX.1/7",
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second"),
    [("00000.png", "00000_WA.jpeg"), ("DSC_0042.JPG", "DSC_0042_tw.jpg"), ("seed12345.png", "012345_FB.jpg")],
)
def test_copies_of_an_image_are_one_group_over_the_channels(tmp_path, first, second):
    plant(tmp_path, f"PreSocial/Real/FORLAB/canon/{first}", f"WhatsApp/Real/FORLAB/canon/{second}")
    before, after = scanned("truefake", tmp_path)
    assert before.group == after.group
    assert {before.channel, after.channel} == {"presocial", "whatsapp"}


def test_an_unknown_channel_and_images_of_no_generator_are_refused(tree):
    plant(tree, "Myspace/Real/FFHQ/0.png", "Facebook/Real/0.png")
    with pytest.raises(InputError, match=r"2 images lie outside(.|\n)*<channel>"):
        scanned("truefake", tree)

import pytest

from tests.trainables.layouts.conftest import TREES, plant, said, scanned
from trainables.errors import InputError

AT = "/elsewhere/dfx/datasets"


def _guide(folder, rows, columns="label,image_path,model"):
    (folder / "guidance.csv").write_text("\n".join([columns, *rows]) + "\n")


def test_what_the_folders_say(tree):
    assert said(scanned("deepfeaturex", tree)) == {
        "dm_generated/sd/0.png": {"label": 1, "generator": "sd", "family": "dm"},
        "gan_generated/stylegan2/1.png": {"label": 1, "generator": "stylegan2", "family": "gan"},
        "gan_generated/biggan/2.png": {"label": 1, "generator": "biggan", "family": "gan"},
        "real/ffhq/3.png": {"label": 0, "generator": "ffhq", "family": "real"},
    }


def test_the_guidance_fixes_the_parts_whatever_machine_wrote_it(tree):
    rows = [
        f"0,{AT}/dm_generated/sd/0.png,sd",
        "1,C:\\dfx\\gan_generated\\stylegan2\\1.png,stylegan2",
        f"2,{AT}/gan_generated/biggan/2.png,biggan",
        f"2,{AT}/gan_generated/biggan/absent.png,biggan",
    ]
    _guide(tree, rows)
    assert {image.path: image.part for image in scanned("deepfeaturex", tree)} == dict(
        zip(TREES["deepfeaturex"], ["train", "fusion", "test", ""], strict=True)
    )


def test_the_guidance_lies_beside_the_images_too_and_can_be_left_aside(tree):
    _guide(tree.parent, [f"1,{AT}/real/ffhq/3.png,ffhq"])
    assert {image.part for image in scanned("deepfeaturex", tree)} == {"", "fusion"}
    assert {image.part for image in scanned("deepfeaturex", tree, guidance=False)} == {""}


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        ([f"3,{AT}/real/ffhq/3.png,ffhq"], "label,image_path,model", "unknown label"),
        ([f"nan,{AT}/real/ffhq/3.png,ffhq"], "label,image_path,model", "line 2: unknown label"),
        ([f"{i},{AT}/real/ffhq/3.png,ffhq" for i in (0, 2)], "label,image_path,model", "two labels"),
        (["0,/other/celeba/9.png,ffhq"], "label,image_path,model", "lists no image of this folder"),
        (["0,x"], "label,path", "not a guidance table"),
    ],
)
def test_a_guidance_that_does_not_fit_is_refused(tree, rows, columns, message):
    _guide(tree, rows, columns)
    with pytest.raises(InputError, match=message):
        scanned("deepfeaturex", tree)


def test_images_of_no_architecture_are_refused(tree):
    plant(tree, "dm_generated/loose.png", "testing_robustness/real/x/0.png")
    with pytest.raises(InputError, match="2 images lie outside"):
        scanned("deepfeaturex", tree)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"label,image_path,model\n0,datasets/real/ffhq/caf\xe9.png,ffhq\n", "not UTF-8"),
        (b'label,image_path,model\n0,"datasets/real/ffhq/3.png,ffhq\n', "no table of comma-separated values"),
        (b"label,image_path,model\n0\n", "line 2: 1 values under 3 columns"),
        (b"", "the table is empty"),
    ],
)
def test_a_guidance_that_is_no_table_is_refused(tree, content, message):
    (tree / "guidance.csv").write_bytes(content)
    with pytest.raises(InputError, match=rf"guidance.csv(.|\n)*{message}|guidance.csv: {message}"):
        scanned("deepfeaturex", tree)

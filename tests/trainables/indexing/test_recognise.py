import pandas as pd
import pytest

from tests.trainables.layouts.conftest import TREES, plant
from trainables.errors import InputError
from trainables.indexing.recognise import recognise
from trainables.registry import LAYOUTS


@pytest.mark.parametrize("layout", TREES)
def test_a_tree_is_recognised_by_its_own_layout_alone(layout, tmp_path):
    plant(tmp_path, *TREES[layout])
    assert [name for name, entry in LAYOUTS.items() if entry.load().recognises(tmp_path)] == [layout]
    assert recognise(tmp_path) == layout


VARIANTS = {
    "generic": [("real/ffhq/0.png", "fake/part-000001/0.png")],
    "forensynths": [
        ("progan/airplane/1_fake/0.png",), ("0_real/0.png", "1_fake/0.png"),
        ("ffhq/0_real/0.png", "sd/1_fake/0.png"),
    ],
    "genimage": [("train/nature/0.png", "train/ai/0.png"), ("ffhq/val/nature/0.png", "sd/val/ai/0.png")],
    "deepfeaturex": [("gan_generated/a/0.png",), ("dm_generated/train/REAL/0.png", "real/ffhq/0.png")],
    "vmr": [("ffhq/0.png", "sd14/part-000001/0.png")],
    "coco": [("mscoco/train/1.png", "coco_sd21/1.png"), ("val2017/1.png", "sd/1.png")],
    "truefake": [("Facebook/Real/FFHQ/0.png",), ("Train/PreSocial/Fake/StyleGAN/0.png",)],
    "cifake": [("test/REAL/0.png", "test/FAKE/0.png")],
    "flat": [("part-000001/0.png",), ("diffusiondb-large-part-1/part-000001/0.webp",)],
}  # fmt: skip


@pytest.mark.parametrize(("layout", "paths"), [(name, paths) for name, trees in VARIANTS.items() for paths in trees])
def test_variants_of_a_tree(layout, paths, tmp_path):
    assert recognise(plant(tmp_path, *paths)) == layout


def test_diffusiondb_by_its_table_of_prompts(tmp_path):
    plant(tmp_path, "0.png")
    pd.DataFrame({"image_name": ["0.png"], "prompt": ["a cat"]}).to_parquet(tmp_path / "metadata.parquet")
    assert recognise(tmp_path) == "flat"
    pd.DataFrame({"file_name": ["0.png"]}).to_parquet(tmp_path / "metadata.parquet")
    with pytest.raises(InputError, match="no known layout"):
        recognise(tmp_path)


UNKNOWN = [
    ("0.png",),
    ("cats/0.png", "dogs/0.png"),
    ("Real/ffhq/0.png", "Fake/sd/0.png"),
    ("train/real/0.png", "train/fake/0.png"),
    ("ffhq/0.png",),
    ("ffhq/0.png", "celeba/0.png", "sd/0.png"),
    ("ffhq/0.png", "coco/0.png", "sd/0.png"),
    ("train2017/0.png",),
    ("fake/sd/0.png",),
    ("a/b/c/d/e/1_fake/0.png",),
]


@pytest.mark.parametrize("paths", UNKNOWN)
def test_an_unknown_tree_is_not_guessed_at(paths, tmp_path):
    with pytest.raises(InputError, match="no known layout"):
        recognise(plant(tmp_path, *paths))


def test_an_unknown_tree_is_shown_with_the_layouts_there_are(tmp_path):
    plant(tmp_path, *(f"cats/{i}.png" for i in range(5)), "dogs/small/0.png", "0.png", "two\nlines/0.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as error:
        recognise(tmp_path)
    text = str(error.value)
    for line in (
        "cats/: 0.png, 1.png, 2.png and more",
        "dogs/: small/",
        "empty/: nothing",
        r"two\nlines/: 0.png",
        "0.png",
    ):
        assert f"\n  {line}\n" in text
    for name, entry in LAYOUTS.items():
        assert f"\n  {name}: {entry.summary}\n" in text
    assert "`layout: <name>`" in text


def test_an_unknown_tree_of_many_folders_is_cut(tmp_path):
    plant(tmp_path, *(f"class{i:02d}/0.png" for i in range(30)))
    with pytest.raises(InputError, match=r"class07/: 0.png\n  and more folders\nlayouts") as error:
        recognise(tmp_path)
    assert "class08" not in str(error.value)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (TREES["generic"] + TREES["deepfeaturex"], "generic, deepfeaturex"),
        (("real/ffhq/0.png", "fake/progan/1_fake/0.png"), "generic, forensynths"),
    ],
)
def test_a_tree_of_two_layouts_is_not_guessed_at(tmp_path, paths, names):
    with pytest.raises(InputError, match=f"one of several layouts: {names}"):
        recognise(plant(tmp_path, *paths))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        recognise(tmp_path / "absent")

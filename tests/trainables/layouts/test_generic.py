import os
import shutil

import pytest

from tests.trainables.layouts.conftest import plant, said, scanned
from trainables.errors import InputError

FOUR = tuple(f"{folder}/{i}.png" for folder in ("real/coco", "real/ffhq", "fake/stylegan") for i in range(4))


@pytest.fixture
def folder(tmp_path):
    return plant(tmp_path / "images", *FOUR)


def _table(folder, rows, columns="path,split"):
    (folder / "manifest.csv").write_text("\n".join([columns, *rows]) + "\n")


def test_what_the_folders_say(tree):
    found = scanned("generic", tree)
    assert said(found) == {
        "real/ffhq/0.png": {"label": 0, "generator": "ffhq"},
        "fake/stylegan2/a/0.png": {"label": 1, "generator": "stylegan2"},
    }
    for image in found:
        status = (tree / image.path).stat()
        assert (image.bytes, image.modified) == (status.st_size, status.st_mtime_ns)


def test_files_at_any_depth_and_behind_links_but_not_hidden_or_of_other_types(folder, tmp_path):
    plant(folder, "fake/stylegan/psi-0.5/seed 1/a.PNG", "fake/stylegan/.thumbnail.png", "fake/stylegan/.git/b.png")
    (folder / "fake/stylegan/prompts.txt").write_text("a cat")
    elsewhere = plant(tmp_path / "elsewhere", "b.png")
    (folder / "real/flickr").symlink_to(elsewhere)
    (elsewhere / "again").symlink_to(elsewhere)
    paths = {image.path for image in scanned("generic", folder)}
    assert paths == {*FOUR, "fake/stylegan/psi-0.5/seed 1/a.PNG", "real/flickr/b.png"}


def test_the_table_says_family_source_group_split_and_channel(folder):
    rows = [f"fake/stylegan/{i}.png,1,stylegan,gan,ffhq,person {i // 2},few,facebook" for i in range(4)]
    _table(folder, rows, "path,label,generator,family,source,group,split,channel")
    found = said(scanned("generic", folder))
    assert found["fake/stylegan/3.png"] == {
        "label": 1, "generator": "stylegan", "family": "gan", "source": "ffhq", "group": "person 1", "part": "few",
        "channel": "facebook",
    }  # fmt: skip
    assert found["real/ffhq/3.png"] == {"label": 0, "generator": "ffhq"}


def test_a_table_of_many_values_gives_each_image_its_own(folder):
    groups = dict(zip(FOUR, "abcabdabeabf", strict=True))
    _table(folder, [f"{path},{group}" for path, group in sorted(groups.items(), reverse=True)], "path,group")
    assert {image.path: image.group for image in scanned("generic", folder)} == groups


def test_an_image_that_is_new_to_the_table_is_of_its_generators_family(folder):
    _table(folder, ["fake/stylegan/0.png,gan", "fake/stylegan/1.png,"], "path,family")
    families = {image.path: image.family for image in scanned("generic", folder)}
    assert {families[f"fake/stylegan/{i}.png"] for i in range(4)} == {"gan"}
    assert families["real/ffhq/0.png"] == ""


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (["../outside.png,test"], "path,split", "leaves the data folder"),
        (["/etc/passwd,test"], "path,split", "leaves the data folder"),
        (["real/ffhq/../../../x.png,test"], "path,split", "leaves the data folder"),
        (["real/ffhq/9.png,test"], "path,split", "1 listed files are not in"),
        (["real/ffhq/0.png,tset"], "path,split", "did you mean 'test'"),
        (["real/ffhq/0.png,test", "real/ffhq/0.png,train"], "path,split", "listed twice"),
        (["real/ffhq/0.png,1"], "path,label", "the label of real/ffhq/0.png"),
        (["real/ffhq/0.png,nan"], "path,label", "the label of real/ffhq/0.png"),
        (["real/ffhq/0.png,coco"], "path,generator", "the generator of real/ffhq/0.png"),
        (["real/ffhq/0.png,vae"], "path,family", "unknown family"),
        (["real/ffhq/0.png"], "file", "no column `path`"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(folder, rows, columns, message):
    _table(folder, rows, columns)
    with pytest.raises(InputError, match=message) as error:
        scanned("generic", folder)
    assert error.value.where == str(folder / "manifest.csv")


@pytest.mark.parametrize("empty", ["real/ffhq", "fake/stylegan", "real", "fake"])
def test_an_empty_class_folder_is_refused(folder, empty):
    shutil.rmtree(folder / empty)
    (folder / empty).mkdir()
    with pytest.raises(InputError, match="no images in this folder") as error:
        scanned("generic", folder)
    assert error.value.where == str(folder / empty)


def test_an_empty_folder_beside_a_generators_images_is_left_alone(folder):
    (folder / "fake/stylegan/unused").mkdir()
    assert len(scanned("generic", folder)) == 12


def test_a_missing_class_folder_says_how_a_data_folder_looks(folder):
    shutil.rmtree(folder / "real")
    with pytest.raises(InputError, match="no folder `real` here"):
        scanned("generic", folder)


def test_images_in_no_generators_folder_are_refused(folder):
    plant(folder, "fake/loose.png")
    with pytest.raises(InputError, match=r"1 images are in no generator's folder(.|\n)*loose.png"):
        scanned("generic", folder)


def test_images_outside_both_classes_are_refused_with_their_count_and_the_first(folder):
    plant(folder, "preview/b.png", "preview/a.png", "z.png")
    with pytest.raises(InputError, match="3 images lie outside") as error:
        scanned("generic", folder)
    assert error.value.value == "z.png"
    assert "real/<source>/" in error.value.fix


def test_one_name_for_a_source_and_a_generator_is_refused(folder):
    plant(folder, "real/stylegan/0.png")
    with pytest.raises(InputError, match="one name"):
        scanned("generic", folder)


def test_names_with_spaces_unicode_and_newlines(folder):
    names = ("fake/stylegan/a b.png", "fake/stylegan/äö 図.png", "fake/stylegan/two\nlines.png")
    plant(folder, *names)
    assert set(names) < {image.path for image in scanned("generic", folder)}


def test_a_name_that_is_not_utf8_is_refused_by_its_bytes(folder):
    try:
        shutil.copy(folder / "real/ffhq/0.png", os.fsencode(folder / "real/ffhq") + b"/caf\xe9.png")
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    with pytest.raises(InputError, match=r"not UTF-8(.|\n)*b'caf\\xe9.png'"):
        scanned("generic", folder)


def test_the_benchmark_is_read_with_all_that_its_table_says(small_data):
    found = scanned("generic", small_data)
    assert len(found) == 260
    families = {image.generator: image.family for image in found}
    assert families == {
        "compact": "real", "reflex": "real", "tconv": "gan", "nearest": "gan", "bilinear": "dm", "latent8": "dm",
    }  # fmt: skip
    assert {image.part for image in found} == {"train", "val", "adapt", "few", "test"}
    assert all(image.group and image.bytes and image.modified for image in found)


def test_a_generator_that_is_only_a_link_to_another_is_refused(folder):
    (folder / "fake/alias").symlink_to(folder / "fake/stylegan")
    with pytest.raises(InputError, match=r"two folders are one, through a link") as error:
        scanned("generic", folder)
    assert (error.value.where, error.value.value) == (str(folder / "fake/alias"), "fake/stylegan")
    plant(folder, "fake/other/0.png")
    (folder / "fake/alias").rename(folder / "fake/other/more")
    assert len(scanned("generic", folder)) == 13


def test_rows_that_all_end_in_a_comma_shift_nothing(folder):
    _table(folder, [f"{path},val,a," for path in FOUR], "path,split,group")
    with pytest.raises(InputError, match="line 2: 4 values under 3 columns"):
        scanned("generic", folder)

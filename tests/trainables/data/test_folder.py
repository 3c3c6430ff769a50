import os
import shutil

import pandas as pd
import pytest
from PIL import Image

from tests.trainables.data.conftest import noise
from trainables.contract import Split
from trainables.data.folder import index_folder, prepare
from trainables.data.manifest import COLUMNS, Manifest
from trainables.data.preprocess import Preprocess
from trainables.data.splits import Fractions
from trainables.errors import InputError

SPLITS = Fractions()


def _table(folder, rows, columns="path,split"):
    (folder / "manifest.csv").write_text("\n".join([columns, *rows]) + "\n")


def test_what_the_folders_say(folder):
    frame = index_folder(folder, splits=SPLITS).frame
    assert list(frame.columns) == list(COLUMNS)
    assert frame["path"].is_monotonic_increasing
    assert frame.groupby(["label", "family", "generator"]).size().to_dict() == {
        (0, "real", "coco"): 4, (0, "real", "ffhq"): 4, (1, "fake", "stylegan"): 4,
    }  # fmt: skip
    row = frame.iloc[0]
    assert (row["width"], row["height"], row["mode"], row["format"], row["problem"]) == (32, 32, "RGB", "PNG", "")
    assert row["bytes"] == (folder / row["path"]).stat().st_size
    assert (frame["group"] == frame["digest"]).all()
    assert all(SPLITS.split_of(group) == split for group, split in zip(frame["group"], frame["split"], strict=True))


def test_files_at_any_depth_and_behind_links_but_not_hidden_or_of_other_types(folder, tmp_path):
    deep = folder / "fake/stylegan/psi-0.5/seed 1"
    deep.mkdir(parents=True)
    noise(90).save(deep / "a.PNG")
    noise(91).save(folder / "fake/stylegan/.thumbnail.png")
    (folder / "fake/stylegan/prompts.txt").write_text("a cat")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    noise(92).save(elsewhere / "b.png")
    (folder / "real/flickr").symlink_to(elsewhere)
    (elsewhere / "again").symlink_to(elsewhere)
    paths = set(index_folder(folder, splits=SPLITS).frame["path"])
    assert len(paths) == 14
    assert {"fake/stylegan/psi-0.5/seed 1/a.PNG", "real/flickr/b.png"} < paths


def test_the_table_fixes_family_source_group_and_split(folder):
    rows = [f"fake/stylegan/{i}.png,1,stylegan,gan,ffhq,person {i // 2},test" for i in range(4)]
    _table(folder, rows, "path,label,generator,family,source,group,split")
    manifest = index_folder(folder, splits=SPLITS)
    fakes = manifest.frame[manifest.frame["label"] == 1]
    assert set(fakes["family"]) == {"gan"}
    assert set(fakes["source"]) == {"ffhq"}
    assert fakes["group"].tolist() == ["person 0", "person 0", "person 1", "person 1"]
    assert [(s.generator, s.split, s.count) for s in manifest.sets() if s.label == 1] == [("stylegan", Split.TEST, 4)]


def test_an_image_that_is_new_to_the_table_is_of_its_generators_family(folder):
    _table(folder, ["fake/stylegan/0.png,gan"], "path,family")
    frame = index_folder(folder, splits=SPLITS).frame
    assert set(frame["family"][frame["generator"] == "stylegan"]) == {"gan"}
    assert set(frame["family"][frame["label"] == 0]) == {"real"}


def test_a_group_of_the_table_stays_together_without_splits(folder):
    _table(folder, [f"fake/stylegan/{i}.png,one person" for i in range(4)], "path,group")
    frame = index_folder(folder, splits=SPLITS).frame
    assert set(frame.loc[frame["label"] == 1, "split"]) == {SPLITS.split_of("one person").value}


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
        (["real/ffhq/0.png,coco"], "path,generator", "the generator of real/ffhq/0.png"),
        (["real/ffhq/0.png,gan"], "path,family", "for real images"),
        (["fake/stylegan/0.png,dm", "fake/stylegan/1.png,gan"], "path,family", "two families"),
        (["real/ffhq/0.png,a,test", "real/ffhq/1.png,a,train"], "path,group,split", "divided between splits"),
        (["real/ffhq/0.png"], "file", "no column `path`"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(folder, rows, columns, message):
    _table(folder, rows, columns)
    with pytest.raises(InputError, match=message):
        index_folder(folder, splits=SPLITS)


def test_the_same_bytes_in_two_generators_name_both_files(folder):
    (folder / "fake/copycat").mkdir()
    shutil.copy(folder / "fake/stylegan/2.png", folder / "fake/copycat/x.png")
    with pytest.raises(InputError, match=r"two generators: fake/copycat/x.png and fake/stylegan/2.png"):
        index_folder(folder, splits=SPLITS)


def test_the_same_bytes_in_two_splits_are_refused(folder):
    shutil.copy(folder / "real/ffhq/0.png", folder / "real/ffhq/copy.png")
    _table(folder, ["real/ffhq/0.png,a,train", "real/ffhq/copy.png,b,test"], "path,group,split")
    with pytest.raises(InputError, match=r"two splits: real/ffhq/0.png and real/ffhq/copy.png"):
        index_folder(folder, splits=SPLITS)


def test_the_same_bytes_twice_in_one_generator_count_once(folder):
    before = index_folder(folder, splits=SPLITS)
    shutil.copy(folder / "real/ffhq/0.png", folder / "real/ffhq/copy.png")
    after = index_folder(folder, splits=SPLITS)
    assert before.sets() == after.sets()
    assert after.duplicates["path"].tolist() == ["real/ffhq/copy.png"]


@pytest.mark.parametrize("empty", ["real/ffhq", "fake/stylegan", "real", "fake"])
def test_an_empty_class_folder_is_refused(folder, empty):
    shutil.rmtree(folder / empty)
    (folder / empty).mkdir()
    with pytest.raises(InputError, match="no images in this folder") as error:
        index_folder(folder, splits=SPLITS)
    assert error.value.where == str(folder / empty)


def test_a_missing_class_folder_says_how_a_data_folder_looks(folder):
    shutil.rmtree(folder / "real")
    with pytest.raises(InputError, match="no folder `real` here"):
        index_folder(folder, splits=SPLITS)


def test_images_in_no_generators_folder_are_refused(folder):
    noise(99).save(folder / "fake/loose.png")
    with pytest.raises(InputError, match=r"in no generator's folder(.|\n)*loose.png"):
        index_folder(folder, splits=SPLITS)


def test_one_name_for_a_source_and_a_generator_is_refused(folder):
    (folder / "real/stylegan").mkdir()
    noise(99).save(folder / "real/stylegan/0.png")
    with pytest.raises(InputError, match="one name"):
        index_folder(folder, splits=SPLITS)


@pytest.fixture
def bad_folder(folder):
    good = (folder / "real/ffhq/0.png").read_bytes()
    (folder / "real/ffhq/cut.png").write_bytes(good[: len(good) // 2])
    (folder / "real/ffhq/empty.jpg").touch()
    (folder / "fake/stylegan/text.png").write_text("not an image")
    Image.new("RGB", (1, 1)).save(folder / "fake/stylegan/pixel.png")
    noise(50).convert("CMYK").save(folder / "real/coco/ink.jpg")
    return folder


BAD = {"real/ffhq/cut.png", "real/ffhq/empty.jpg", "fake/stylegan/text.png", "fake/stylegan/pixel.png"}


def test_unusable_files_are_refused_by_name(bad_folder, tmp_path):
    with pytest.raises(InputError, match="4 files are no usable images") as error:
        prepare(bad_folder, splits=SPLITS, index=tmp_path / "index.parquet")
    assert all(path in str(error.value) for path in BAD)
    assert not (tmp_path / "index.parquet").exists()


def test_unusable_files_are_left_out_when_skipped(bad_folder, tmp_path):
    manifest = prepare(bad_folder, splits=SPLITS, index=tmp_path / "index.parquet", unusable="skip")
    assert set(manifest.problems["path"]) == BAD
    assert sum(images.count for images in manifest.sets()) == 13
    assert manifest.notes["path"].tolist() == ["real/coco/ink.jpg"]
    assert manifest.summary().set_index("generator")["unusable"].to_dict() == {"coco": 0, "ffhq": 2, "stylegan": 2}


def test_a_long_list_of_unusable_files_is_cut_with_a_count(folder, tmp_path):
    for i in range(30):
        (folder / f"real/coco/bad{i:02d}.png").touch()
    with pytest.raises(InputError, match="30 files") as error:
        prepare(folder, splits=SPLITS, index=tmp_path / "index.parquet")
    assert "bad19.png" in str(error.value)
    assert "bad20.png" not in str(error.value)
    assert "and 10 more" in str(error.value)


def test_an_image_smaller_than_the_crop_is_unusable_by_name(folder, tmp_path):
    noise(70, side=16).save(folder / "real/coco/small.png")
    index = tmp_path / "index.parquet"
    with pytest.raises(InputError, match=r"real/coco/small.png: 16x16 pixels: smaller than the crop of 32x32"):
        prepare(folder, splits=SPLITS, index=index, preprocess=Preprocess(size=32))
    assert prepare(folder, splits=SPLITS, index=index, preprocess=Preprocess(size=16)).problems.empty
    assert prepare(folder, splits=SPLITS, index=index, preprocess=Preprocess(size=32, fit="resize")).problems.empty


def test_only_new_and_changed_files_are_read_again(folder, tmp_path):
    index = tmp_path / "index.parquet"
    before = prepare(folder, splits=SPLITS, index=index)
    # The same size and time, so it is taken on trust; were it read, it would be unusable.
    trusted = folder / "real/ffhq/1.png"
    status = trusted.stat()
    trusted.write_bytes(bytes(status.st_size))
    os.utime(trusted, ns=(status.st_atime_ns, status.st_mtime_ns))
    noise(80).save(folder / "real/ffhq/2.png")
    os.utime(folder / "real/ffhq/2.png", ns=(0, 0))
    noise(81).save(folder / "real/ffhq/new.png")
    (folder / "real/ffhq/3.png").unlink()
    seen = []
    after = prepare(folder, splits=SPLITS, index=index, progress=lambda *counts: seen.append(counts))
    assert seen == [(12, 12)]
    digests = [m.frame.set_index("path")["digest"] for m in (before, after)]
    changed = digests[0].index[digests[0] != digests[1].reindex(digests[0].index)]
    assert list(changed) == ["real/ffhq/2.png", "real/ffhq/3.png"]


def test_an_index_that_is_up_to_date_is_not_written_again(folder, tmp_path):
    index = tmp_path / "index.parquet"
    prepare(folder, splits=SPLITS, index=index)
    before = index.stat().st_mtime_ns
    prepare(folder, splits=SPLITS, index=index)
    assert index.stat().st_mtime_ns == before


def test_a_damaged_index_is_made_again(folder, tmp_path):
    index = tmp_path / "index.parquet"
    index.write_text("not parquet")
    made = prepare(folder, splits=SPLITS, index=index)
    pd.testing.assert_frame_equal(Manifest.load(index).frame, made.frame)


def test_an_index_serves_one_folder_only(folder, tmp_path):
    index = tmp_path / "index.parquet"
    prepare(folder, splits=SPLITS, index=index)
    moved = folder.rename(tmp_path / "moved")
    shutil.copy(moved / "real/ffhq/0.png", moved / "fake/stylegan/other.png")
    with pytest.raises(InputError, match="same bytes"):
        prepare(moved, splits=SPLITS, index=index)
    (moved / "fake/stylegan/other.png").unlink()
    assert prepare(moved, splits=SPLITS, index=index).root == moved


def test_an_index_that_cannot_be_written_is_told(folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write here"):
        prepare(folder, splits=SPLITS, index=tmp_path / "file" / "index.parquet")


def test_the_benchmark_is_read_like_any_folder(small_data, tmp_path):
    manifest = prepare(small_data, splits=SPLITS, index=tmp_path / "index.parquet", preprocess=Preprocess(size=64))
    summary = manifest.summary().set_index("generator")
    assert summary.loc["tconv", ["train", "val", "adapt", "few", "test"]].tolist() == [16, 8, 12, 4, 12]
    assert summary["family"].to_dict() == {
        "compact": "real", "reflex": "real", "tconv": "gan", "nearest": "gan", "bilinear": "dm", "latent8": "dm",
    }  # fmt: skip
    assert manifest.notes.empty
    for column in ("digest", "group"):
        assert (manifest.frame.groupby(column)["split"].nunique() == 1).all()

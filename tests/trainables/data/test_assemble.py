from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.trainables.data.conftest import noise
from tests.trainables.data.indexed import index_of, near, row, rows
from trainables.contract import Split
from trainables.data.assemble import assemble
from trainables.data.choosing import Choosing
from trainables.data.manifest import COLUMNS, Manifest
from trainables.data.preprocess import Preprocess
from trainables.data.splits import Fractions
from trainables.errors import InputError
from trainables.indexing.index import Index, index_folder

SPLITS = Fractions()
HALVES = Fractions(train=0.5, val=0.0, adapt=0.0, few=0.0, test=0.5)
ALL = Choosing()


def one(images: list[dict[str, object]] | Index, choosing: Choosing = ALL, **keywords: object) -> Manifest:
    """The manifest of one folder."""
    index = images if isinstance(images, Index) else index_of(images)
    return assemble([(index, choosing)], keywords.pop("splits", SPLITS), **keywords)


def counts(manifest: Manifest) -> dict[str, int]:
    return dict(Counter(manifest.usable["generator"]))


@pytest.fixture
def pair() -> list[dict[str, object]]:
    return [*rows("real/ffhq", 12), *rows("fake/stylegan", 12)]


def test_what_the_manifest_says_of_a_folder(folder: Path) -> None:
    manifest = one(index_folder(folder))
    frame = manifest.frame
    assert list(frame.columns) == list(COLUMNS)
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == COLUMNS
    assert manifest.roots == (folder,)
    assert frame["path"].is_monotonic_increasing
    assert frame.groupby(["label", "family", "generator", "source"]).size().to_dict() == {
        (0, "real", "coco", "coco"): 4, (0, "real", "ffhq", "ffhq"): 4, (1, "fake", "stylegan", "stylegan"): 4,
    }  # fmt: skip
    assert (frame["group"] == frame["pixels"]).all()
    assert all(SPLITS.split_of(group) == split for group, split in zip(frame["group"], frame["split"], strict=True))


# What is taken


def test_folders_are_joined_though_their_files_have_the_same_names(pair):
    other = [row(image["path"], shows=f"other {image['path']}") for image in pair]
    for image in other:
        image["digest"] = image["digest"][::-1]
    both = [(index_of(pair, "/a"), ALL), (index_of(other, "/b"), ALL)]
    manifest = assemble(both, SPLITS)
    assert manifest.roots == (Path("/a"), Path("/b"))
    assert counts(manifest) == {"ffhq": 24, "stylegan": 24}
    assert manifest.frame.groupby("folder")["path"].agg(list).tolist() == [sorted(i["path"] for i in pair)] * 2


def test_several_generators_can_be_given_one_name_and_their_reals_follow():
    images = [
        *rows("real/progan-real", 3, partner="progan"),
        *rows("real/stylegan-real", 3, partner="stylegan"),
        *rows("fake/progan", 3),
        *rows("fake/stylegan", 3),
    ]
    grouped = {"progan": "gan", "stylegan": "gan", "progan-real": "own", "stylegan-real": "own"}
    manifest = one(images, Choosing(rename=grouped))
    assert counts(manifest) == {"own": 6, "gan": 6}
    assert {images.partner for images in manifest.sets() if images.generator == "own"} == {"gan"}
    apart = one(images, Choosing(rename={"progan-real": "own", "stylegan-real": "own"}))
    assert {images.partner for images in apart.sets()} == {""}


def test_generators_and_channels_are_chosen_by_name(pair):
    images = [*pair, *rows("fake/other", 5), *[row(f"real/ffhq/fb{k}.png", channel="facebook") for k in range(4)]]
    manifest = one(images, Choosing(generators=("ffhq", "stylegan")))
    assert (counts(manifest), manifest.not_taken) == ({"ffhq": 16, "stylegan": 12}, 5)
    manifest = one(images, Choosing(channels=("facebook",)), complete=False)
    assert (counts(manifest), manifest.not_taken) == ({"ffhq": 4}, 29)


def test_images_of_other_sizes_are_not_taken_and_files_without_a_size_are_told_of(pair):
    odd = [
        row("real/ffhq/small.png", width=200, height=63),
        row("real/ffhq/large.png", width=64, height=201),
        row("real/ffhq/broken.png", width=0, height=0, problem="not an image"),
    ]
    chosen = Choosing(smallest=64, largest=200, unusable="skip")
    manifest = one([*pair, *odd, row("real/ffhq/just.png", width=64, height=200)], chosen)
    assert counts(manifest) == {"ffhq": 13, "stylegan": 12}
    assert manifest.problems["path"].tolist() == ["real/ffhq/broken.png"]
    assert manifest.not_taken == 2


def test_a_limit_holds_for_each_generator_and_part_and_chooses_by_path_alone():
    images = [*rows("real/ffhq", 50), *rows("fake/a", 30, part="train"), *rows("fake/b", 5)]
    images += [row(f"fake/a/t{k}.png", part="test") for k in range(30)]
    chosen = Choosing(limit=20)
    manifest = one(images, chosen)
    assert counts(manifest) == {"ffhq": 20, "a": 40, "b": 5}
    assert Counter(manifest.frame.loc[manifest.frame["generator"] == "a", "part"]) == {"train": 20, "test": 20}
    assert set(one(images[::-1], chosen).frame["path"]) == set(manifest.frame["path"])
    assert set(one(images, Choosing(limit=10)).frame["path"]) < set(manifest.frame["path"])
    renamed = one(images, Choosing(limit=20, rename={"b": "a"}))
    assert counts(renamed) == {"ffhq": 20, "a": 20 + 20 + 5}


def test_a_family_is_the_chosen_one_else_the_layouts_else_that_of_the_generators_other_images(pair):
    images = [*pair, row("fake/sd/0.png", family="dm"), row("fake/sd/1.png"), *rows("fake/x", 2), *rows("fake/y", 2)]
    manifest = one(images, Choosing(families={"z": "gan"}, rename={"x": "z"}))
    families = manifest.frame.groupby("generator")["family"].agg(set).to_dict()
    assert families == {"ffhq": {"real"}, "stylegan": {"fake"}, "sd": {"dm"}, "z": {"gan"}, "y": {"fake"}}


@pytest.mark.parametrize(
    ("choosing", "message"),
    [
        (Choosing(generators=("stylgan",)), r"`generators` (.|\n)*did you mean 'stylegan'"),
        (Choosing(rename={"ffqh": "faces"}), r"`rename` (.|\n)*did you mean 'ffhq'"),
        (Choosing(families={"stylegn": "gan"}), r"`families` (.|\n)*did you mean 'stylegan'"),
        (Choosing(channels=("facebook",)), r"`channels` (.|\n)*leave `channels` out"),
        (Choosing(largest=63), "takes no image of this folder"),
        (Choosing(generators=("ffhq",)), "all usable images are real"),
        (Choosing(generators=("stylegan",)), "all usable images are fake"),
        (Choosing(rename={"stylegan": "ffhq"}), "a real source and a fake generator have one name"),
        (Choosing(families={"ffhq": "gan"}), "family `real` is for real images"),
        (Choosing(families={"stylegan": "real"}), "family `real` is for real images"),
    ],
)
def test_what_cannot_be_taken_is_refused(pair, choosing, message):
    with pytest.raises(InputError, match=message):
        one(pair, choosing)


def test_one_name_for_a_source_of_one_folder_and_a_generator_of_another_is_refused(pair):
    both = [(index_of(pair, "/a"), ALL), (index_of(rows("real/stylegan", 2), "/b"), ALL)]
    with pytest.raises(InputError, match=r"have one name\n.*'stylegan'"):
        assemble(both, SPLITS)


def test_a_generator_in_two_families_is_refused(pair):
    images = [*pair, row("fake/sd/0.png", family="dm"), row("fake/sd/1.png", family="gan")]
    with pytest.raises(InputError, match=r"in two families: sd\n.*'dm, gan'"):
        one(images)


def test_no_usable_image_at_all_is_refused():
    images = rows("real/ffhq", 3, problem="not an image")
    with pytest.raises(InputError, match="no usable images"):
        one(images, Choosing(unusable="skip"))


def test_one_image_of_each_class_is_enough_here():
    manifest = one([row("real/ffhq/0.png"), row("fake/stylegan/0.png")])
    assert [images.count for images in manifest.sets()] == [1, 1]


# What cannot be used


@pytest.fixture
def bad_folder(folder: Path) -> Path:
    good = (folder / "real/ffhq/0.png").read_bytes()
    (folder / "real/ffhq/cut.png").write_bytes(good[: len(good) // 2])
    (folder / "real/ffhq/empty.jpg").touch()
    (folder / "fake/stylegan/text.png").write_text("not an image")
    Image.new("RGB", (1, 1)).save(folder / "fake/stylegan/pixel.png")
    noise(50).convert("CMYK").save(folder / "real/coco/ink.jpg")
    return folder


BAD = {"real/ffhq/cut.png", "real/ffhq/empty.jpg", "fake/stylegan/text.png", "fake/stylegan/pixel.png"}


def test_unusable_files_are_refused_by_name(bad_folder):
    with pytest.raises(InputError, match="4 files are no usable images") as error:
        one(index_folder(bad_folder))
    assert all(path in str(error.value) for path in BAD)
    assert "unusable: skip" in str(error.value)
    assert error.value.where == str(bad_folder)


def test_unusable_files_are_left_out_when_skipped(bad_folder):
    manifest = one(index_folder(bad_folder), Choosing(unusable="skip"))
    assert set(manifest.problems["path"]) == BAD
    assert sum(images.count for images in manifest.sets()) == 13
    assert manifest.notes["path"].tolist() == ["real/coco/ink.jpg"]
    assert manifest.summary().set_index("generator")["unusable"].to_dict() == {"coco": 0, "ffhq": 2, "stylegan": 2}


def test_one_broken_file_of_ten_thousand_is_named_or_left_out(pair):
    images = [*pair, *rows("fake/many", 10_000), row("fake/many/x.png", problem="damaged", width=0, height=0)]
    with pytest.raises(InputError, match=r"1 file is no usable image\n  fake/many/x.png: damaged"):
        one(images)
    assert counts(one(images, Choosing(unusable="skip")))["many"] == 10_000


def test_a_long_list_of_unusable_files_is_cut_with_a_count(pair):
    bad = [row(f"real/ffhq/bad{k:02}.png", problem="the file is empty") for k in range(30)]
    with pytest.raises(InputError, match="30 files") as error:
        one([*pair, *bad])
    assert "bad19.png" in str(error.value)
    assert "bad20.png" not in str(error.value)
    assert "and 10 more" in str(error.value)


def test_unusable_files_are_refused_or_skipped_folder_by_folder(pair):
    broken = index_of([row("fake/x/0.png", problem="damaged"), row("fake/x/1.png")], "/b")
    skipped = assemble([(index_of(pair, "/a"), ALL), (broken, Choosing(unusable="skip"))], SPLITS)
    assert skipped.problems["path"].tolist() == ["fake/x/0.png"]
    with pytest.raises(InputError, match="no usable image") as error:
        assemble([(index_of(pair, "/a"), Choosing(unusable="skip")), (broken, ALL)], SPLITS)
    assert error.value.where == "/b"


def test_an_image_smaller_than_the_crop_is_unusable_by_name(pair):
    images = [*pair, row("real/ffhq/small.png", width=40, height=16)]
    with pytest.raises(InputError, match=r"real/ffhq/small.png: 40x16 pixels: smaller than the crop of 32x32"):
        one(images, preprocesses={"": Preprocess(size=32)})
    assert one(images, preprocesses={"": Preprocess(size=16)}).problems.empty
    assert one(images, preprocesses={"": Preprocess(size=32, fit="resize")}).problems.empty


def test_an_image_that_one_of_several_ways_cannot_take_is_unusable_for_all(pair):
    images = [*pair, row("real/ffhq/small.png", width=40, height=16)]
    ways = {"": Preprocess(size=16), "scaled": Preprocess(size=64, fit="resize"), "wide": Preprocess(size=32)}
    told = r"small.png: 40x16 pixels: smaller than the crop of 32x32 \(`preprocess` of wide\)"
    with pytest.raises(InputError, match=told):
        one(images, preprocesses=ways)
    left = one(images, Choosing(unusable="skip"), preprocesses=ways)
    assert left.problems["path"].tolist() == ["real/ffhq/small.png"]
    assert all(left.fitting(way) is left for way in ways.values())


# The same image in several places


@pytest.mark.parametrize("other", ["fake/copycat/x.png", "real/ffhq/x.png"])
def test_the_same_image_in_two_generators_is_refused_by_name(pair, other):
    images = [*pair, row(other, shows="fake/stylegan/002.png")]
    with pytest.raises(InputError, match="1 file shows an image of another generator") as error:
        one(images)
    first, second = sorted([other, "fake/stylegan/002.png"])
    names = {path: path.split("/")[1] for path in (first, second)}
    assert f"{first} ({names[first]}) and {second} ({names[second]})" in str(error.value)
    regrouped = one(images, Choosing(rename={"copycat": "stylegan"})) if "fake" in other else None
    assert regrouped is None or counts(regrouped) == {"ffhq": 12, "stylegan": 12}


def test_the_same_pixels_encoded_twice_in_one_generator_count_once(folder):
    before = one(index_folder(folder))
    Image.open(folder / "real/ffhq/0.png").save(folder / "real/ffhq/copy.bmp")
    after = one(index_folder(folder))
    assert counts(after) == counts(before)
    assert len(after.duplicates) == 1
    assert after.duplicates["path"].item() in {"real/ffhq/0.png", "real/ffhq/copy.bmp"}
    assert after.duplicates["path"].item() not in set(after.usable["path"])


def test_real_sources_may_share_images_which_are_then_in_one_split(pair):
    shared = [row(f"real/imagenet-real/{k}.png", shows=f"real/ffhq/{k:03}.png") for k in range(12)]
    manifest = one([*pair, *shared])
    assert counts(manifest) == {"ffhq": 12, "imagenet-real": 12, "stylegan": 12}
    assert manifest.frame.groupby("pixels")["split"].nunique().max() == 1


# Groups and splits


def test_a_declared_group_stays_together(pair):
    images = [*pair, *rows("fake/x", 20, group="one person")]
    frame = one(images).frame
    assert set(frame.loc[frame["generator"] == "x", "split"]) == {SPLITS.split_of("one person").value}


def test_near_duplicates_stay_together(pair):
    copies = [near(image, f"fake/x/{k}.png") for k, image in enumerate(pair)]
    frame = one([*pair, *copies]).frame.set_index("path")
    for k, image in enumerate(pair):
        assert frame.loc[f"fake/x/{k}.png", "split"] == frame.loc[image["path"], "split"]
        assert frame.loc[f"fake/x/{k}.png", "group"] == frame.loc[image["path"], "group"]
    assert frame["split"].nunique() > 1


def test_parts_fix_splits_and_the_rest_of_a_training_part_is_divided():
    images = [*rows("real/r", 400, part="train"), *rows("fake/f", 400, part="train")]
    images += [row(f"{kind}/t{k}.png", part="test") for kind in ("real/r", "fake/f") for k in range(40)]
    frame = one(images).frame
    assert set(frame.loc[frame["part"] == "test", "split"]) == {"test"}
    shares = frame.loc[frame["part"] == "train", "split"].value_counts(normalize=True)
    expected = {"train": 45 / 80, "adapt": 20 / 80, "val": 10 / 80, "few": 5 / 80}
    assert shares.to_dict() == pytest.approx(expected, abs=0.07)
    with_val = one([*images, row("fake/f/v.png", part="val")]).frame
    assert "val" not in set(with_val.loc[(with_val["part"] == "train") & (with_val["generator"] == "f"), "split"])
    assert "val" in set(with_val.loc[(with_val["part"] == "train") & (with_val["generator"] == "r"), "split"])


def test_divide_says_where_a_part_goes():
    images = [*rows("real/r", 200, part="test"), *rows("fake/f", 200, part="test")]
    frame = one(images, Choosing(divide={"test": ("adapt", "test")})).frame
    assert frame["split"].value_counts(normalize=True).to_dict() == pytest.approx({"adapt": 0.5, "test": 0.5}, abs=0.1)


@pytest.fixture
def cifake() -> list[dict[str, object]]:
    """Fixed parts, and a near duplicate, equal pixels and a declared group across them."""
    images = [
        image
        for kind in ("real/cifar", "fake/sd")
        for part in ("train", "test")
        for image in [row(f"{kind}/{part}{k:02}.png", part=part) for k in range(20)]
    ]
    by_path = {image["path"]: image for image in images}
    images.append(near(by_path["real/cifar/test03.png"], "real/cifar/near.png", part="train"))
    images.append(row("fake/sd/equal.png", shows="fake/sd/test04.png", part="train"))
    for name in ("fake/sd/train05.png", "real/cifar/test05.png"):
        by_path[name]["group"] = "a cat"
    return images


OVER = {
    "real/cifar/near.png": ("real/cifar/test03.png (test, cifar)", "near duplicate"),
    "fake/sd/equal.png": ("fake/sd/test04.png (test, sd)", "equal pixels"),
    "fake/sd/train05.png": ("real/cifar/test05.png (test, cifar)", "one declared group"),
}


def test_overlap_of_fixed_parts_is_refused_with_the_list(cifake):
    with pytest.raises(InputError, match="3 images show what images of another split show") as error:
        one(cifake)
    for path, (other, why) in OVER.items():
        line = next(line for line in str(error.value).splitlines() if line.startswith(f"  {path} ("))
        assert line.endswith(f" – {other}: {why}")
        assert "(test" not in line.partition(" – ")[0]
    assert "overlap: drop" in str(error.value)


def test_overlap_is_dropped_from_all_but_the_test_split(cifake):
    manifest = one(cifake, overlap="drop")
    problems = manifest.problems.set_index("path")["problem"].to_dict()
    assert problems == {path: f"overlap: {why} with {other}, which is kept" for path, (other, why) in OVER.items()}
    used = manifest.usable
    assert (used.groupby("group")["split"].nunique() == 1).all()
    assert set(used.loc[used["part"] == "test", "split"]) == {"test"}
    assert (used["part"] == "test").sum() == 40


def test_a_test_image_that_is_saved_again_among_the_training_images_is_found_in_a_folder(small_data, tmp_path):
    for kind, generator in (("REAL", "compact"), ("FAKE", "tconv")):
        for part in ("train", "test"):
            (tmp_path / part / kind).mkdir(parents=True)
            for file in small_data.glob(f"*/{generator}/{part}-*.jpg"):
                shutil.copy(file, tmp_path / part / kind)
    original = sorted((tmp_path / "test/FAKE").iterdir())[0]
    Image.open(original).save(tmp_path / "train/FAKE/again.jpg", quality=70)
    index = index_folder(tmp_path)
    assert index.layout == "cifake"
    expected = rf"train/FAKE/again.jpg \(\w+, sd14\) – test/FAKE/{original.name} \(test, sd14\): near duplicate"
    with pytest.raises(InputError, match=expected):
        one(index)
    dropped = one(index, overlap="drop")
    assert dropped.problems["path"].tolist() == ["train/FAKE/again.jpg"]
    assert len(dropped.usable) == len(index.frame) - 1


def test_overlap_between_a_training_set_and_another_generators_test_set_is_refused(pair):
    images = [*pair, *rows("fake/x", 3, part="test"), *rows("fake/y", 3, part="train")]
    images.append(near(images[-1], "fake/x/copy.png", part="test"))
    with pytest.raises(
        InputError, match=r"  fake/y/002.png \((train|adapt|val|few), y\) – fake/x/copy.png \(test, x\)"
    ):
        one(images)


def test_copies_are_kept_in_the_order_test_few_adapt_fusion_val_train(pair):
    order = ["test", "few", "adapt", "fusion", "val", "train"]
    for keeps, loses in pairwise(order):
        first, second = (
            row(f"fake/x/{keeps}.png", group="g", part=keeps),
            row(f"fake/x/{loses}.png", group="g", part=loses),
        )
        chosen = Choosing(divide={"train": ("train",)})
        manifest = one([*pair, first, second], chosen, overlap="drop")
        assert manifest.problems["path"].tolist() == [second["path"]]


def test_images_without_a_part_follow_their_copies(pair):
    fixed = [row(f"fake/x/{k}.png", part="test", group=f"g{k}") for k in range(20)]
    free = [row(f"fake/y/{k}.png", group=f"g{k}") for k in range(20)]
    frame = one([*pair, *fixed, *free]).frame
    assert set(frame.loc[frame["generator"] == "y", "split"]) == {"test"}
    few = one([*pair, row("fake/x/0.png", part="few", group="g"), row("fake/y/0.png", group="g")], splits=HALVES)
    assert set(few.frame.loc[few.frame["group"] == "g", "split"]) == {"few"}


def test_parts_that_leave_one_split_open_are_no_overlap(pair):
    images = [*pair, row("fake/x/0.png", part="train", group="g"), row("fake/y/0.png", part="val", group="g")]
    frame = one(images).frame
    assert set(frame.loc[frame["group"] == "g", "split"]) == {"val"}


def test_an_image_without_a_part_can_connect_two_parts(pair):
    train, test = row("fake/x/train.png", part="train"), row("fake/x/test.png", part="test", group="g")
    images = [*pair, train, test, near(train, "fake/x/free.png", group="g")]
    with pytest.raises(InputError, match=r"1 image(.|\n)*train.png .* – fake/x/free.png \(test, x\): near duplicate"):
        one(images)
    kept = one(images, overlap="drop").frame.set_index("path")
    assert kept.loc["fake/x/free.png", "split"] == "test"
    assert kept["problem"].ne("").sum() == 1


def test_a_chain_of_copies_is_one_group_and_the_message_says_so(pair):
    first = row("fake/x/1.png", part="train")
    second = near(first, "fake/x/2.png", part="train", group="g")
    images = [*pair, first, second, row("fake/x/3.png", part="test", group="g")]
    with pytest.raises(InputError, match="2 images show what images") as error:
        one(images)
    assert "fake/x/3.png (test, x): one declared group" in str(error.value)
    assert "fake/x/3.png (test, x): one group, through other images" in str(error.value)


# The same images, the same splits


def test_the_order_of_rows_and_files_does_not_matter(cifake):
    expected = one(cifake, overlap="drop")
    order = np.random.default_rng(0).permutation(len(cifake))
    index = index_of(cifake)
    shuffled = replace(index, frame=index.frame.iloc[order].reset_index(drop=True))
    found = one(shuffled, overlap="drop")
    assert found.frame.equals(expected.frame)
    assert found.sets() == expected.sets()


def test_two_folders_elsewhere_and_in_another_order_have_the_same_splits(folder, tmp_path):
    other = tmp_path / "other"
    (other / "fake/sd").mkdir(parents=True)
    for k in range(6):
        noise(200 + k).save(other / "fake/sd" / f"{k}.png")
    (other / "real/coco").mkdir(parents=True)
    shutil.copy(folder / "real/coco/0.png", other / "real/coco/again.png")
    here = assemble([(index_folder(folder), ALL), (index_folder(other), ALL)], SPLITS)
    folder, other = folder.rename(tmp_path / "moved"), other.rename(tmp_path / "also moved")
    there = assemble([(index_folder(other), ALL), (index_folder(folder), ALL)], SPLITS)
    assert there.sets() == here.sets()
    by_digest = [m.usable.set_index("digest")["split"].sort_index() for m in (here, there)]
    assert by_digest[0].equals(by_digest[1])


def test_scenes_of_one_name_in_two_folders_keep_their_splits_in_either_order_and_when_one_is_left_out():
    names = [f"scene {k}" for k in range(40)]
    mine = index_of([row(f"real/r/{name}.png", group=name) for name in names], root="/data/mine")
    other = index_of([row(f"fake/f/{name}.png", group=name) for name in names], root="/data/other")
    orders = [[mine, other], [other, mine], [mine], [other]]
    found = [assemble([(index, ALL) for index in order], HALVES, complete=False).frame for order in orders]
    splits = [frame.set_index("path")["split"].to_dict() for frame in found]
    assert splits[0] == splits[1] == splits[2] | splits[3]
    assert set(splits[0].values()) == {"train", "test"}
    parts = [index_of([row(f"{kind}.png", group="1", part=part)], root=root) for kind, part, root in (
        ("real/r/0", "train", "/data/mine"), ("fake/f/0", "test", "/data/other"))]  # fmt: skip
    apart = assemble([(index, ALL) for index in parts], HALVES).frame
    assert apart["split"].tolist() == ["train", "test"]  # no overlap: the names are each folder's own


def test_a_folder_that_is_listed_once_a_channel_is_one_folder(tmp_path):
    images = [row(f"fake/f/{k}{c}.png", group=f"seed {k}", channel=c) for k in range(40) for c in ("before", "after")]
    (tmp_path / "linked").symlink_to(tmp_path)
    indexes = index_of(images, root=str(tmp_path)), index_of(images, root=str(tmp_path / "linked"))
    takes = Choosing(channels=("before",)), Choosing(channels=("after",), rename={"f": "f-after"})
    frame = assemble(list(zip(indexes, takes, strict=True)), HALVES, complete=False).frame
    assert frame.groupby("group")["split"].nunique().tolist() == [1] * 40
    assert frame["split"].nunique() == 2


def test_the_benchmark_is_read_like_any_folder(small_data):
    manifest = one(index_folder(small_data), preprocesses={"": Preprocess(size=64)})
    summary = manifest.summary().set_index("generator")
    assert summary.loc["tconv", ["train", "val", "adapt", "few", "test"]].tolist() == [16, 8, 12, 4, 12]
    assert summary["family"].to_dict() == {
        "compact": "real", "reflex": "real", "tconv": "gan", "nearest": "gan", "bilinear": "dm", "latent8": "dm",
    }  # fmt: skip
    assert manifest.notes.empty
    for column in ("digest", "group"):
        assert (manifest.frame.groupby(column)["split"].nunique() == 1).all()
    assert {images.split for images in manifest.sets()} == set(Split) - {Split.FUSION}

"""What can be wrong with a folder of images, by the command line: told with file, value and fix; nothing is lost."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from orchestrator.campaign import Campaign
from orchestrator.store.tables import SCORES_FILE
from tests.e2e.refusals import refused
from tests.orchestrator.cli.conftest import call, write_study

SIDE = 16
EACH = 24
STUDY = {
    "train_generators": ["gan"],
    "test_generators": ["gan"],
    "adaptations": [],
    "splits": {"train": 0.5, "val": 0.25, "adapt": 0.0, "few": 0.0, "test": 0.25},
    "preprocess": {"size": SIDE},
}


def noise(seed: int, side: int = SIDE) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder of one source and one generator."""
    root = tmp_path / "images"
    for position, name in enumerate(("real/camera", "fake/gan")):
        (root / name).mkdir(parents=True)
        for k in range(EACH):
            noise(1000 * position + k).save(root / name / f"{k:02}.png")
    return root


@pytest.fixture
def study(tmp_path: Path, folder: Path) -> Callable[..., Path]:
    """Writes a study of that folder, with some keys of its data, and of its own, changed."""

    def write(data: dict[str, Any] | None = None, **changes: Any) -> Path:
        return write_study(tmp_path, folder, **{**STUDY, "data": {"root": str(folder), **(data or {})}, **changes})

    return write


def says(message: str, *words: object) -> None:
    for word in words:
        assert str(word) in message


@pytest.fixture
def listed(tmp_path: Path, folder: Path) -> Callable[..., Path]:
    """Writes a table of the folder's images and some more rows, and a study that reads it."""

    def write(
        rows: Sequence[dict[str, Any]] = (), kind: str = "csv", layout: Mapping[str, Any] | None = None, **changes: Any
    ) -> Path:
        inside = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*.png"))]
        told = [{"path": path, "generator": path.split("/")[1], "label": int("fake" in path)} for path in inside]
        table = pd.DataFrame([*told, *rows])
        {"csv": table.to_csv, "parquet": table.to_parquet}[kind](folder / f"manifest.{kind}", index=False)
        data = {"root": str(folder), "layout": {"kind": "manifest", **(layout or {})}}
        return write_study(tmp_path, folder, **{**STUDY, "data": data, **changes})

    return write


# Names and places


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("path", ["../outside.png", "real/../../outside.png", "/etc/outside.png"])
def test_a_path_that_climbs_out_of_the_folder_is_refused(listed, tmp_path, kind, path):
    noise(5000).save(tmp_path / "outside.png")

    message = refused("check", listed([{"path": path, "generator": "gan", "label": 1}], kind))

    place = f"line {2 * EACH + 2}" if kind == "csv" else f"row {2 * EACH + 1}"
    says(message, f"manifest.{kind}: {place}: a path leaves the data folder", path, "without `..`")


def test_a_link_that_leads_out_of_the_folder_is_refused_where_a_table_lists_it(listed, folder, tmp_path):
    noise(5000).save(tmp_path / "outside.png")
    (folder / "fake/gan/link.png").symlink_to(tmp_path / "outside.png")

    says(
        refused("check", listed()), "leads out of the data folder", "fake/gan/link.png", "copy the file into the folder"
    )


def test_a_table_of_the_projects_own_layout_may_not_climb_either(study, folder):
    pd.DataFrame({"path": ["../outside.png"], "family": ["gan"]}).to_csv(folder / "manifest.csv", index=False)

    says(refused("check", study()), "manifest.csv", "a path leaves the data folder", "../outside.png")


def test_links_that_go_round_in_circles_end_and_change_nothing(study, folder):
    before = call("data", "show", study()).stdout
    (folder / "real/camera/up").symlink_to(folder)
    (folder / "fake/gan/self").symlink_to(folder / "fake/gan")
    (folder / "fake/gan/a").symlink_to(folder / "fake/gan/b")
    (folder / "fake/gan/b").symlink_to(folder / "fake/gan/a")

    assert call("data", "show", study()).stdout == before
    assert call("check", study()).exit_code == 0


def test_names_of_any_unicode_are_read_and_shown_on_one_line(study, folder):
    for seed, name in enumerate(("two words.png", "Bild äöü 图.png", "first\nsecond.png", "tab\there.png")):
        noise(5000 + seed).save(folder / "fake/gan" / name)
    (folder / "fake/gan/bad\nname.png").write_bytes(b"no image")

    message = refused("check", study())
    checked = call("check", study({"unusable": "skip"}))

    says(message, "1 file is no usable image", "\n  fake/gan/bad\\nname.png: not an image\n")
    assert checked.exit_code == 0, checked.output
    assert f"images: {2 * EACH + 4} in" in checked.stdout


def test_a_name_that_is_not_unicode_is_refused_by_its_bytes(study, folder):
    try:
        Path(os.fsdecode(os.fsencode(folder / "fake/gan") + b"/\xff.png")).touch()
    except OSError:
        pytest.skip("this file system takes Unicode names only")

    says(refused("check", study()), "fake/gan: a name that is not UTF-8", r"b'\xff.png'", "rename it")


# Images


@pytest.mark.slow
def test_one_broken_file_of_ten_thousand_is_named_and_all_others_are_used(study, folder):
    for k in range(10_000 - 2 * EACH - 1):
        os.link(folder / f"fake/gan/{k % EACH:02}.png", folder / f"fake/gan/copy-{k:05}.png")
    (folder / "fake/gan/copy-04999-broken.png").write_bytes((folder / "fake/gan/00.png").read_bytes()[:200])

    says(refused("check", study()), "1 file is no usable image\n  fake/gan/copy-04999-broken.png: damaged or cut short")
    checked = call("check", study({"unusable": "skip"}))
    assert (checked.exit_code, f"images: {2 * EACH} in" in checked.stdout) == (0, True)
    assert "left out, or no usable image: 1" in checked.stdout


def test_a_decompression_bomb_is_refused_by_name_and_so_are_images_of_a_pixel(study, folder):
    Image.new("1", (20_000, 20_000)).save(folder / "real/camera/bomb.png")
    Image.new("L", (10_000, 9_000)).save(folder / "real/camera/large.png")
    Image.new("L", (1, 1)).save(folder / "fake/gan/dot.png")
    Image.new("L", (1, 20_000)).save(folder / "fake/gan/strip.png")

    message = refused("check", study())

    says(message, "4 files are no usable images", "fake/gan/dot.png: 1x1 pixels", "fake/gan/strip.png: 1x20000 pixels")
    says(message, "real/camera/bomb.png: too large, perhaps a decompression bomb")
    says(message, "real/camera/large.png: 10000x9000 pixels: too large, perhaps a decompression bomb")


def test_images_that_are_too_small_for_the_crop_are_told_with_what_to_change(study):
    message = refused("check", study(preprocess={"size": 2 * SIDE}))
    says(
        message,
        f"{2 * EACH} files are no usable images",
        "fake/gan/00.png: 16x16 pixels: smaller than the crop of 32x32",
    )
    says(message, "and 28 more", "choose a smaller `preprocess.size`, or `fit: resize`")

    message = refused("check", study({"unusable": "skip"}, preprocess={"size": 2 * SIDE}))
    says(message, "there are no usable images", "smaller than the crop of 32x32")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("fake/other", ["fake/gan/00.png (gan) and fake/other/x.png (other)", "remove one of each", "`rename`"]),
        ("real/camera", ["fake/gan/00.png (gan) and real/camera/x.png (camera)", "or of the other class"]),
    ],
)
@pytest.mark.parametrize("form", ["PNG", "BMP"])
def test_an_image_of_two_origins_is_refused_with_both_files(study, folder, other, message, form):
    (folder / other).mkdir(exist_ok=True)
    Image.open(folder / "fake/gan/00.png").save(folder / other / "x.png", form)

    says(refused("check", study()), "1 file shows an image of another generator", *message)

    audited = call("data", "audit", folder)  # which is there to find such things, and no experiment
    assert audited.exit_code == 0, audited.output
    assert "2 files show what a file of another class, generator or split shows" in audited.stdout


# Classes


def test_one_class_alone_is_refused(tmp_path, folder):
    flat = {"root": str(folder / "fake/gan"), "layout": {"kind": "flat", "generator": "gan"}}
    file = write_study(tmp_path, folder, **{**STUDY, "data": [flat]})
    says(refused("check", file), "all usable images are fake: there are no real ones", "add a folder with real images")

    flat = {"root": str(folder / "real/camera"), "layout": {"kind": "flat", "generator": "camera", "label": "real"}}
    file = write_study(tmp_path, folder, **{**STUDY, "data": [flat]})
    says(refused("check", file), "all usable images are real: there are no fake ones")


@pytest.mark.parametrize("layout", ["vmr", "coco"])
def test_a_folder_called_real_is_never_taken_for_a_generator(study, folder, layout):
    (folder / "ffhq").mkdir()
    shutil.move(folder / "real/camera/00.png", folder / "ffhq/00.png")

    message = refused("check", study({"layout": {"kind": layout, "real": ["ffhq"]}}))

    says(message, "named for photographs", "'real'", "name it in `real` of the layout")


def test_one_image_of_each_class_is_refused_for_want_of_splits(study, folder):
    for path in [*folder.rglob("*.png")]:
        if path.name != "00.png":
            path.unlink()

    message = refused("run", study())

    says(message, "has no images in the split", "add images, or give it a share: in `splits`")


# Tables


def test_a_table_without_a_needed_column_is_refused(listed, folder):
    file = listed()
    pd.read_csv(folder / "manifest.csv").drop(columns="label").to_csv(folder / "manifest.csv", index=False)

    says(refused("check", file), "manifest.csv: the table has no column 'label'", "columns: {label: …}")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"path": "fake/gan/./00.png", "label": 1}, ["a path is listed twice", "'fake/gan/00.png'"]),
        ({"path": "fake/gan/new.bmp", "label": None}, ["the label is blank", "label the image"]),
        ({"path": "fake/gan/new.bmp", "label": 2}, ["the label is neither '1' (fake) nor '0' (real)", "fake_is"]),
        ({"path": "fake/gan/absent.png", "label": 1}, ["1 listed files are not there", "fake/gan/absent.png"]),
    ],
    ids=["twice", "NaN", "third label", "absent"],
)
def test_a_row_that_is_not_understood_is_refused_with_its_place(listed, folder, kind, row, words):
    noise(5000).save(folder / "fake/gan/new.bmp")

    message = refused("check", listed([{"generator": "gan", **row}], kind))

    place = "" if "absent" in row["path"] else f": line {2 * EACH + 2}" if kind == "csv" else f": row {2 * EACH + 1}"
    says(message, f"manifest.{kind}{place}: ", *words)


def test_labels_the_wrong_way_round_are_told_by_the_audit(listed, folder):
    listed()
    shown = call("data", "audit", folder, "--layout", "{kind: manifest, fake_is: 0}").stdout
    says(shown, "warning: The labels look inverted", f"Of {2 * EACH} images", "declared real", "Label 1 is fake")


@pytest.mark.slow
def test_labels_the_wrong_way_round_are_told_on_the_report(listed):
    file = listed(layout={"fake_is": 0}, train_generators=["camera"], test_generators=["camera"])

    result = call("run", file, "--executor", "serial")

    assert result.exit_code == 0, result.output
    assert "The labels look inverted" in Campaign.open(file).report_page.read_text()


def test_labels_that_their_own_words_contradict_are_refused(listed):
    file = listed(layout={"fake_is": "REAL", "real_is": "FAKE"})
    says(refused("check", file), "the labels are inverted", "set fake_is to the label of fakes")


# Splits


def test_overlap_of_fixed_parts_is_refused_with_the_list_then_dropped_on_demand(tmp_path, folder):
    root = tmp_path / "parts"
    for kind, name in (("REAL", "real/camera"), ("FAKE", "fake/gan")):
        for k, path in enumerate(sorted((folder / name).iterdir())):
            to = root / ("test" if k < 6 else "train") / kind / path.name
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, to)
    Image.open(root / "test/FAKE/00.png").save(root / "train/FAKE/again.png", compress_level=1)
    splits = {"train": 0.6, "val": 0.4, "adapt": 0.0, "few": 0.0, "test": 0.0}
    own = {
        **STUDY,
        "splits": splits,
        "train_generators": ["sd14"],
        "test_generators": ["sd14"],
        "data": {"root": str(root)},
    }

    message = refused("check", write_study(tmp_path, root, **own))
    says(message, "1 image shows what an image of another split shows", "train/FAKE/again.png (")
    says(message, "test/FAKE/00.png (test, sd14): equal pixels", "`overlap: drop`")

    dropped = write_study(tmp_path, root, **own, overlap="drop")
    shown = call("data", "show", dropped).stdout
    says(shown, "train/FAKE/again.png", "overlap: equal pixels with test/FAKE/00.png (test, sd14), which is kept")
    says(call("data", "audit", root).stdout, "warning: The folder's own parts share images: 1 shows what")


# Changes and full disks


def test_a_file_that_changes_after_it_was_read_fails_its_cells_by_name_and_the_next_run_reads_it(study, folder):
    file = study()
    assert call("check", file).exit_code == 0
    changed = folder / "fake/gan/00.png"
    times = changed.stat()
    content = bytearray(changed.read_bytes())
    content[-20] ^= 1  # the size and time of before: it cannot be known before the run reads it
    changed.write_bytes(content)
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))

    result = call("run", file, "--executor", "serial")

    assert result.exit_code == 1, result.output
    says(call("status", file).stdout, str(changed), "the file has changed since the folder was indexed")
    assert not list((file.parent / "results").rglob("*.tmp"))
    noise(5000).save(changed)
    again = call("run", file, "--executor", "serial")
    assert again.exit_code == 0, again.output


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Within, no file of this process can grow beyond so many bytes: to a writer, the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_fails_the_cells_that_need_it_and_what_is_half_written_is_never_read(study):
    file = study(preprocess={"size": 512, "fit": "resize"})  # some 18 MB of training images
    with files_of_at_most(2_000_000):
        result = call("run", file, "--executor", "serial")

    assert result.exit_code == 1, result.output
    says(call("status", file).stdout, "the disk is full", "cache")
    cache = file.parent / "results/cache"
    assert {path.suffix for path in cache.iterdir()} == {".lock"}

    again = call("run", file, "--executor", "serial", "--retry-failed")
    assert again.exit_code == 0, again.output


def test_what_is_not_cached_gives_the_same_scores_bit_for_bit(study, tmp_path):
    found = []
    for gigabytes in (100, 0):
        file = study(cache={"gigabytes": gigabytes}, storage=f"results-{gigabytes}")
        result = call("run", file, "--executor", "serial")
        assert result.exit_code == 0, result.output
        campaign = Campaign.open(file)
        (score,) = (record.cell for record in campaign.records() if record.stage == "score")
        found.append(pd.read_parquet(campaign.place().folder(score) / SCORES_FILE))
    assert found[0].equals(found[1])
    assert list((tmp_path / "results-100/cache").glob("*.npy"))
    assert not list((tmp_path / "results-0").rglob("*.npy"))

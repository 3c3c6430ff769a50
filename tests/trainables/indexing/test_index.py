from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence
from pathlib import Path

import pandas as pd
import pytest

from tests.trainables.data.conftest import noise
from trainables.errors import InputError
from trainables.indexing import examining
from trainables.indexing.examine import Facts, examine
from trainables.indexing.examining import Item, examine_in_threads
from trainables.indexing.found import Found
from trainables.indexing.index import found_table, index_folder


class Reader:
    """Reads in threads, and notes what; stops after so many images if it is told to."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.read: list[str] = []
        self.stop_after = stop_after

    def __call__(self, root: Path, items: Sequence[Item]) -> Generator[list[Facts], None, None]:
        self.read += [path for path, *_ in items]
        done = 0
        for chunk in examine_in_threads(root, items):
            yield chunk
            done += len(chunk)
            if self.stop_after and done >= self.stop_after:
                raise KeyboardInterrupt


@pytest.fixture
def kept(tmp_path):
    return tmp_path / "indexes" / "images.parquet"


def _snapshot(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_an_index_has_what_layout_and_bytes_say(folder):
    index = index_folder(folder)
    frame = index.frame

    assert (index.root, index.layout) == (folder, "generic")
    assert list(frame) == [*Found._fields, *Facts._fields]
    assert list(frame["path"]) == sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))
    assert {str(frame[name].dtype) for name in ("path", "digest", "problem", "part")} == {"str"}
    assert {str(frame[name].dtype) for name in ("label", "width", "modified", "offset", "quality")} == {"int64"}
    row = frame[frame["path"] == "fake/stylegan/2.png"].iloc[0]
    assert (row["label"], row["generator"]) == (1, "stylegan")
    status = (folder / row["path"]).stat()
    facts = examine(folder, row["path"], -1, status.st_size, status.st_mtime_ns)
    assert tuple(row[list(Facts._fields)]) == tuple(facts)


def test_an_unchanged_folder_is_not_read_again_and_nothing_is_written(folder, kept):
    first = index_folder(folder, kept=kept)
    reader, told, before = Reader(), [], _snapshot(kept.parent)
    again = index_folder(folder, kept=kept, examine=reader, progress=lambda *counts: told.append(counts))

    assert reader.read == []
    assert told == []
    assert _snapshot(kept.parent) == before
    assert [path.name for path in kept.parent.iterdir() if path.suffix != ".lock"] == ["images.parquet"]
    pd.testing.assert_frame_equal(first.frame, again.frame)
    pd.testing.assert_frame_equal(pd.read_parquet(kept).astype(str), first.frame.astype(str))


def test_only_what_is_new_or_changed_is_read(folder, kept):
    index_folder(folder, kept=kept)
    noise(100).save(folder / "real/ffhq/new.png")
    noise(101).save(folder / "real/coco/1.png")
    (folder / "fake/stylegan/0.png").unlink()
    reader = Reader()
    index = index_folder(folder, kept=kept, examine=reader)

    assert reader.read == ["real/coco/1.png", "real/ffhq/new.png"]
    pd.testing.assert_frame_equal(index.frame, index_folder(folder).frame)
    assert "fake/stylegan/0.png" not in set(pd.read_parquet(kept)["path"])


def test_progress_is_of_what_is_to_be_read(folder, kept):
    told = []
    index_folder(folder, kept=kept, progress=lambda *counts: told.append(counts))
    assert (told[0], told[-1]) == ((0, 12), (12, 12))
    noise(100).save(folder / "real/ffhq/new.png")
    told.clear()
    index_folder(folder, kept=kept, progress=lambda *counts: told.append(counts))
    assert (told[0], told[-1]) == ((0, 1), (1, 1))


def test_what_the_layout_says_is_always_taken_afresh(folder, kept):
    index_folder(folder, kept=kept)
    (folder / "manifest.csv").write_text("path,group\nfake/stylegan/0.png,a person\n")
    reader = Reader()
    frame = index_folder(folder, kept=kept, examine=reader).frame

    assert reader.read == []
    assert list(frame[frame["group"] != ""]["path"]) == ["fake/stylegan/0.png"]
    assert list(pd.read_parquet(kept)["group"]) == list(frame["group"])


def test_an_interrupted_index_goes_on_where_it_stopped(folder, kept, monkeypatch):
    monkeypatch.setattr(examining, "PART", 8)
    for i in range(50):
        noise(200 + i, 8).save(folder / f"real/ffhq/more{i}.png")
    stopped = Reader(stop_after=24)
    with pytest.raises(KeyboardInterrupt):
        index_folder(folder, kept=kept, examine=stopped)
    assert not kept.exists()
    rest = Reader()
    index = index_folder(folder, kept=kept, examine=rest)

    assert rest.read == stopped.read[24:]
    assert sorted(path.name for path in kept.parent.iterdir()) == [".images.parquet.lock", "images.parquet"]
    pd.testing.assert_frame_equal(index.frame, index_folder(folder).frame)


def test_parts_that_are_damaged_or_of_something_else_are_read_again(folder, kept, monkeypatch):
    monkeypatch.setattr(examining, "PART", 4)
    with pytest.raises(KeyboardInterrupt):
        index_folder(folder, kept=kept, examine=Reader(stop_after=8))
    parts = sorted(kept.with_name("images.parquet.parts").iterdir())
    parts[0].write_bytes(parts[0].read_bytes()[:-40])
    (parts[0].parent / "1.parquet").write_text("no table")
    pd.DataFrame({"a": [1]}).to_parquet(parts[0].parent / "2.parquet")
    index = index_folder(folder, kept=kept)

    pd.testing.assert_frame_equal(index.frame, index_folder(folder).frame)


@pytest.mark.parametrize("damage", [lambda file: file.write_text("no"), lambda file: os.truncate(file, 200)])
def test_an_index_that_is_damaged_is_made_again(folder, kept, damage):
    index_folder(folder, kept=kept)
    damage(kept)
    reader = Reader()
    index_folder(folder, kept=kept, examine=reader)
    assert len(reader.read) == 12


def test_what_is_kept_of_another_folder_or_another_rule_is_not_believed(folder, kept, monkeypatch, tmp_path):
    index_folder(folder, kept=kept)
    twin = shutil.copytree(folder, tmp_path / "twin")
    reader = Reader()
    index_folder(twin, kept=kept, examine=reader)
    assert len(reader.read) == 12
    monkeypatch.setattr("trainables.indexing.kept.FACTS_VERSION", -1)
    index_folder(twin, kept=kept, examine=reader)
    assert len(reader.read) == 24


def test_a_file_that_could_not_be_read_is_tried_again(folder, kept):
    file = folder / "real/ffhq/9.png"
    file.symlink_to("10.png")
    os.link(folder / "real/ffhq/0.png", folder / "real/ffhq/10.png")
    items = found_table([Found("real/ffhq/9.png", 0, "ffhq", 1, 1)], folder)
    assert len(items) == 1
    reader = Reader()
    original = file.stat()

    def changed_meanwhile(root: Path, items: Sequence[Item]) -> Generator[list[Facts], None, None]:
        os.utime(folder / "real/ffhq/0.png", ns=(5, 5))
        yield from examine_in_threads(root, items)
        os.utime(folder / "real/ffhq/0.png", ns=(original.st_atime_ns, original.st_mtime_ns))

    first = index_folder(folder, kept=kept, examine=changed_meanwhile).frame
    assert set(first[first["problem"] != ""]["problem"]) == {"changed while the folder was read"}
    second = index_folder(folder, kept=kept, examine=reader).frame
    assert reader.read == list(first[first["problem"] != ""]["path"])
    assert (second["problem"] == "").all()


def test_names_may_hold_anything_that_is_unicode(folder, kept):
    names = ["with space.png", "новый 图像.png", "two\nlines.png", "quote'\".png", "%s{}.png"]
    for k, name in enumerate(names):
        noise(300 + k).save(folder / "real/ffhq" / name)
    frame = index_folder(folder, kept=kept).frame

    assert {f"real/ffhq/{name}" for name in names} <= set(frame["path"])
    assert (frame["problem"] == "").all()
    assert set(pd.read_parquet(kept)["path"]) == set(frame["path"])


def test_a_name_that_is_not_unicode_is_told(folder):
    name = os.fsdecode(b"bad\xff.png")
    noise(1).save(folder / "real/ffhq" / name)
    with pytest.raises(InputError, match="UTF-8"):
        index_folder(folder)


def test_links_that_go_round_in_circles_end(folder):
    (folder / "real/ffhq/again").symlink_to(folder / "real")
    assert len(index_folder(folder).frame) == 12


def test_one_broken_file_among_ten_thousand(folder, kept):
    for i in range(10_000):
        os.link(folder / "real/ffhq/0.png", folder / f"real/coco/{i:05d}.png")
    (folder / "real/coco/07777.png").unlink()
    (folder / "real/coco/07777.png").write_bytes(b"\x89PNG broken")
    frame = index_folder(folder, kept=kept).frame

    assert len(frame) == 10_012
    assert list(frame[frame["problem"] != ""]["path"]) == ["real/coco/07777.png"]


def test_a_folder_that_is_gone_or_empty_is_refused(folder, kept, tmp_path):
    index_folder(folder, kept=kept)
    for file in folder.rglob("*.png"):
        file.unlink()
    with pytest.raises(InputError, match="no images"):
        index_folder(folder, kept=kept)
    with pytest.raises(InputError, match="does not exist"):
        index_folder(tmp_path / "absent", kept=kept)


def test_a_path_that_comes_twice_is_refused(tmp_path):
    images = [Found("b.png", 0, "x"), Found("a.png", 0, "x"), Found("b.png", 1, "y")]
    with pytest.raises(InputError, match=r"twice[\s\S]*b\.png"):
        found_table(images, tmp_path)


@pytest.mark.parametrize("path", ["../a.png", "/a.png", "b/../../a.png", "b/..", "../0.tar/a.png", "/0.arrow/image/0"])
def test_a_path_that_leads_out_of_the_folder_is_refused(tmp_path, path):
    images = [Found("b.png", 0, "x"), Found(path, 0, "x", offset=512 if "0." in path else -1)]
    with pytest.raises(InputError, match="leads out of the data folder") as error:
        found_table(images, tmp_path)
    assert error.value.value == path


def test_dots_in_names_and_within_archives_lead_nowhere(tmp_path):
    paths = {"..a/b...png": -1, "0.tar/../../a.png": 512, "b/0.tar//etc/passwd": 512}
    found = found_table([Found(path, 0, "x", offset=offset) for path, offset in paths.items()], tmp_path)
    assert set(found["path"].to_pylist()) == set(paths)


def test_a_place_that_cannot_be_written_is_told(folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write here"):
        index_folder(folder, kept=tmp_path / "file" / "images.parquet")


FULL = """
import resource, sys
from pathlib import Path
from trainables.indexing import examining
from trainables.indexing.index import index_folder
from trainables.errors import InputError
examining.PART = 4
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    index_folder(Path(sys.argv[1]), kept=Path(sys.argv[2]))
except InputError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("limit", [1000, 9000])
def test_a_full_disk_leaves_nothing_half_written(folder, kept, limit):
    for i in range(60):
        noise(400 + i, 8).save(folder / f"real/ffhq/more{i:02d}.png")
    command = [sys.executable, "-c", FULL, str(folder), str(kept), str(limit)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "the disk is full" in ended.stderr
    assert "Traceback" not in ended.stderr
    left = [path for path in kept.parent.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert all(pd.read_parquet(path).shape[0] for path in left)
    assert bool(left) == (limit == 9000)  # a part fits into the larger limit, the whole index does not
    reader = Reader()
    pd.testing.assert_frame_equal(index_folder(folder, kept=kept, examine=reader).frame, index_folder(folder).frame)
    assert len(reader.read) == (72 if limit == 1000 else 0)


def test_two_at_once_read_every_image_once(folder, kept):
    readers = [Reader(), Reader()]
    threads = [
        threading.Thread(target=index_folder, args=(folder,), kwargs={"kept": kept, "examine": r}) for r in readers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(readers[0].read + readers[1].read) == list(pd.read_parquet(kept)["path"])

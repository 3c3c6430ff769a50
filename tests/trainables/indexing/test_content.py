import io
import multiprocessing
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from trainables.indexing import content
from trainables.indexing.content import holder, read_content, row_path
from trainables.indexing.decode import UnusableImageError

IMAGES = [bytes([i]) * (100 + i) for i in range(200)]


def _tar(file, images=IMAGES):
    """An archive, with the offset of each member's content."""
    with tarfile.open(file, "w") as archive:
        for i, image in enumerate(images):
            header = tarfile.TarInfo(f"{i}.png")
            header.size = len(image)
            archive.addfile(header, io.BytesIO(image))
    with tarfile.open(file) as archive:
        return [member.offset_data for member in archive]


def _arrow(file, images=IMAGES, column="image"):
    table = pa.table({"label": [1] * len(images), column: images})
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table, max_chunksize=7)
    return list(range(len(images)))


@pytest.fixture(params=["file", "tar", "arrow"])
def places(request, tmp_path):
    """Path, offset and bytes of every image, in one of the three ways."""
    if request.param == "tar":
        offsets = _tar(tmp_path / "0.tar")
        return [(f"0.tar/{i}.png", offset, len(IMAGES[i])) for i, offset in enumerate(offsets)]
    if request.param == "arrow":
        return [(row_path("0.arrow", "image", i), i, len(IMAGES[i])) for i in _arrow(tmp_path / "0.arrow")]
    for i, image in enumerate(IMAGES):
        (tmp_path / f"{i}.png").write_bytes(image)
    return [(f"{i}.png", -1, len(image)) for i, image in enumerate(IMAGES)]


def test_bytes_are_those_that_were_written(places, tmp_path):
    assert [read_content(tmp_path, *place) for place in places] == IMAGES


def test_many_threads_read_at_once(places, tmp_path):
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda i: read_content(tmp_path, *places[i % 200]), range(0, 4000, 7)))
    assert read == [IMAGES[i % 200] for i in range(0, 4000, 7)]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_and_its_parent_do_not_move_each_others_place(places, tmp_path):
    def read_again_and_again():
        for _ in range(20):
            assert [read_content(tmp_path, *place) for place in places] == IMAGES

    read_content(tmp_path, *places[0])
    child = multiprocessing.get_context("fork").Process(target=read_again_and_again)
    child.start()
    read_again_and_again()
    child.join()
    assert child.exitcode == 0


def test_a_file_that_is_gone_is_an_error_of_the_system(places, tmp_path):
    read_content(tmp_path, *places[3])
    file = holder(tmp_path, *places[3][:2])
    assert file.parent == tmp_path
    file.unlink()
    with pytest.raises(FileNotFoundError):
        read_content(tmp_path, *places[3])


def test_a_file_that_has_been_replaced_is_opened_anew(tmp_path):
    swapped = [bytes(image[::-1][:-1]) + b"x" for image in IMAGES]
    offset = _tar(tmp_path / "0.tar")[5]
    _arrow(tmp_path / "0.arrow")
    places = [("0.tar/5.png", offset, len(IMAGES[5])), (row_path("0.arrow", "image", 5), 5, len(IMAGES[5]))]
    assert [read_content(tmp_path, *place) for place in places] == [IMAGES[5]] * 2
    for write, name in ((_tar, "0.tar"), (_arrow, "0.arrow")):
        write(tmp_path / "new", swapped)
        os.utime(tmp_path / "new", ns=(0, 7))
        (tmp_path / "new").rename(tmp_path / name)
    assert [read_content(tmp_path, *place) for place in places] == [swapped[5]] * 2


def test_what_is_not_there_any_more_is_no_usable_image(tmp_path):
    offsets = _tar(tmp_path / "0.tar")
    _arrow(tmp_path / "0.arrow")
    for path, offset, message in (
        ("0.tar/199.png", offsets[-1] + 10**6, "it ends before the image does"),
        (row_path("0.arrow", "image", 200), 200, "has changed"),
        (row_path("0.arrow", "picture", 0), 0, "has changed: 'picture'"),
    ):
        with pytest.raises(UnusableImageError, match=message):
            read_content(tmp_path, path, offset, 10)
    (tmp_path / "0.arrow").write_bytes(b"no table")
    with pytest.raises(UnusableImageError, match="has changed"):
        read_content(tmp_path, row_path("0.arrow", "image", 0), 0, 10)


@pytest.mark.parametrize("path", ["../x.png", "/etc/passwd", "a/../../x.png", ".."])
def test_a_path_that_leaves_the_folder_is_not_opened(tmp_path, path):
    root = tmp_path / "images"
    root.mkdir()
    (tmp_path / "x.png").write_bytes(b"secret")
    _tar(tmp_path / "x.tar")
    for place in ((path, -1, 6), (f"{path}/x.tar/0.png", 0, 6), ("../x.tar/0.png", 512, 6)):
        with pytest.raises((UnusableImageError, FileNotFoundError)):
            read_content(root, *place)


def test_dots_within_an_archive_are_only_a_name(tmp_path):
    offset = _tar(tmp_path / "0.tar")[0]
    assert holder(tmp_path, "0.tar/../../x.tar/0.png", offset) == tmp_path / "0.tar"


def test_folders_may_be_called_as_archives_are(tmp_path):
    (tmp_path / "a.tar" / "b.arrow").mkdir(parents=True)
    offset = _tar(tmp_path / "a.tar/b.arrow/0.tar")[9]
    path = "a.tar/b.arrow/0.tar/c.tar/9.png"
    assert holder(tmp_path, path, offset) == tmp_path / "a.tar/b.arrow/0.tar"
    assert read_content(tmp_path, path, offset, len(IMAGES[9])) == IMAGES[9]
    _arrow(tmp_path / "a.tar/b.arrow/0.arrow", column="a/b.tar/c")
    assert read_content(tmp_path, row_path("a.tar/b.arrow/0.arrow", "a/b.tar/c", 3), 3, 1) == IMAGES[3]


def test_more_than_any_image_takes_is_not_read_into_memory(tmp_path):
    _tar(tmp_path / "0.tar")
    with pytest.raises(UnusableImageError, match="too large for an image"):
        read_content(tmp_path, "0.tar/0.png", 512, content.LARGEST_CONTENT + 1)


def test_of_a_file_that_has_grown_one_byte_more_is_read_and_no_others(tmp_path):
    with (tmp_path / "0.png").open("wb") as file:
        file.write(b"image")
        file.truncate(2**40)
    assert read_content(tmp_path, "0.png", -1, 5) == b"image\0"
    with pytest.raises(UnusableImageError, match="too large for an image"):
        read_content(tmp_path, "0.png", -1, 2**40)


def test_a_disk_that_gives_a_few_bytes_at_a_time(places, tmp_path, monkeypatch):
    read = os.pread
    monkeypatch.setattr(os, "pread", lambda file, size, offset: read(file, min(size, 7), offset))
    assert [read_content(tmp_path, *place) for place in places] == IMAGES


def test_archives_that_are_no_longer_kept_are_closed(tmp_path):
    for i in range(3 * content._OPEN_FILES):
        (offset,) = _tar(tmp_path / f"{i}.tar", IMAGES[:1])
        assert read_content(tmp_path, f"{i}.tar/0.png", offset, 100) == IMAGES[0]
    opened = [Path(entry.path).resolve() for entry in os.scandir("/proc/self/fd")]
    assert 0 < sum(tmp_path in file.parents for file in opened) <= content._OPEN_FILES

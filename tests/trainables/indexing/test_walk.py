import os
import shutil

import pytest

from tests.trainables.layouts.conftest import plant
from trainables.errors import InputError
from trainables.indexing.walk import File, folder_names, glance, walk


def _paths(root):
    return [file.path for folder in walk(root) for file in folder.files()]


def test_folders_and_files_come_in_the_order_of_their_names(tmp_path):
    plant(tmp_path, "b/2.png", "b/10.png", "b/a/0.png", "a/0.png", "Z.png", "c.png")
    assert _paths(tmp_path) == ["Z.png", "c.png", "a/0.png", "b/10.png", "b/2.png", "b/a/0.png"]
    folders = {folder.path: (folder.parts, folder.images, folder.folders) for folder in walk(tmp_path)}
    assert folders[""] == ((), ["Z.png", "c.png"], 2)
    assert folders["b/a"] == (("b", "a"), ["0.png"], 0)


def test_a_file_with_its_size_and_time(tmp_path):
    plant(tmp_path, "a/0.png")
    status = (tmp_path / "a/0.png").stat()
    (folder,) = (folder for folder in walk(tmp_path) if folder.path == "a")
    assert list(folder.files()) == [File("a/0.png", status.st_size, status.st_mtime_ns)]


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.png", "a.webp", "a.bmp", "a.tif", "a.tiff", "a.gif", "a.b.PNG"])
def test_image_types_in_either_case(tmp_path, name):
    (tmp_path / name).touch()
    assert _paths(tmp_path) == [name]


@pytest.mark.parametrize("name", ["a.txt", "png", ".png", ".a.png", "a.png.part", "._a.png", ".cache/a.png"])
def test_other_types_and_hidden_files_are_left_alone(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert _paths(tmp_path) == []


def test_a_folder_with_the_name_of_an_image_is_a_folder_and_a_pipe_is_nothing(tmp_path):
    plant(tmp_path, "folder.png/0.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert _paths(tmp_path) == ["folder.png/0.png"]


def test_a_link_that_leads_nowhere_is_there_with_no_bytes(tmp_path):
    (tmp_path / "gone.png").symlink_to(tmp_path / "absent.png")
    (folder,) = walk(tmp_path)
    assert list(folder.files()) == [File("gone.png", 0, 0)]


def test_links_to_folders_are_followed_once_and_loops_end(tmp_path):
    elsewhere = plant(tmp_path / "elsewhere", "0.png", "deep/1.png")
    root = plant(tmp_path / "root", "z/2.png")
    for link, target in {"a": elsewhere, "b": elsewhere, "z/up": root, "self": root / "self2", "self2": root}.items():
        (root / link).symlink_to(target)
    (elsewhere / "back").symlink_to(root)
    (elsewhere / "deep/again").symlink_to(elsewhere)
    assert _paths(root) == ["z/2.png", "a/0.png", "a/deep/1.png"]


def test_a_folder_counts_where_it_really_is_however_its_links_are_named(tmp_path):
    plant(tmp_path, "real/ffhq/0.png", ".store/coco/1.png")
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake/alias").symlink_to(tmp_path / "real/ffhq")
    (tmp_path / "real/coco").symlink_to(tmp_path / ".store/coco")
    assert _paths(tmp_path) == ["real/ffhq/0.png", "real/coco/1.png"]


def test_a_second_link_to_a_folder_is_told_and_a_loop_is_not(tmp_path):
    elsewhere = plant(tmp_path / "elsewhere", "deep/0.png")
    root = plant(tmp_path / "root", "z/1.png")
    for link, target in {"a": elsewhere, "b": elsewhere, "c": root / "z", "z/up": root, "d": root}.items():
        (root / link).symlink_to(target)
    (elsewhere / "deep/again").symlink_to(elsewhere)
    same = {folder.path: folder.same_as for folder in walk(root) if folder.same_as is not None}
    assert same == {"b": "a", "c": "z"}
    assert _paths(root) == ["z/1.png", "a/deep/0.png"]


def test_a_linked_file_is_a_file(tmp_path):
    plant(tmp_path, "elsewhere/0.png")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/1.png").symlink_to(tmp_path / "elsewhere/0.png")
    assert _paths(tmp_path / "root") == ["1.png"]


def test_the_walk_streams_and_holds_one_folder_at_a_time(tmp_path):
    plant(tmp_path, "a/0.png", "b/0.png")
    folders = walk(tmp_path)
    assert [next(folders).path for _ in range(2)] == ["", "a"]
    shutil.rmtree(tmp_path / "b")
    with pytest.raises(InputError, match="cannot be read") as error:
        next(folders)
    assert error.value.where == str(tmp_path / "b")


def test_a_root_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        list(walk(tmp_path / "absent"))


@pytest.mark.parametrize("name", [b"caf\xe9", b"caf\xe9.png"])
def test_a_name_that_is_not_utf8(tmp_path, name):
    try:
        os.mkdir(os.fsencode(tmp_path) + b"/" + name)  # noqa: PTH102
    except OSError:
        pytest.skip("this file system holds UTF-8 names only")
    with pytest.raises(InputError, match="not UTF-8") as error:
        list(walk(tmp_path))
    assert error.value.value == name
    str(error.value).encode()


def test_a_glance_goes_down_level_by_level(tmp_path):
    plant(tmp_path, "b/c/d/e/0.png", "a/0.png", ".hidden/x/0.png")
    assert list(glance(tmp_path, 3)) == [("a",), ("b",), ("b", "c"), ("b", "c", "d")]
    assert list(glance(tmp_path / "absent", 3)) == []


def test_names_of_all_folders_or_of_some(tmp_path):
    for name in ("b", "a", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "c").symlink_to(tmp_path / "a")
    (tmp_path / "file").touch()
    assert folder_names(tmp_path) == ["a", "b", "c"]
    assert folder_names(tmp_path, 0) == folder_names(tmp_path / "absent") == []


def test_a_glance_ends_in_a_loop(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path)
    assert len(list(glance(tmp_path, 5))) == 5

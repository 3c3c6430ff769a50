"""Files whole or absent."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from trainables.errors import InputError
from trainables.writing import atomic_file, locked, remove_temporaries, write_bytes, write_json, write_once


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "file"
    with atomic_file(path) as temporary:
        temporary.write_bytes(b"all of it")
        assert not path.exists()

    assert path.read_bytes() == b"all of it"
    assert names(path.parent) == ["file"]


def test_an_error_on_the_way_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "file"
    write_bytes(path, b"old")

    with pytest.raises(TypeError), atomic_file(path) as temporary:
        temporary.write_bytes("no bytes")  # the file is opened, then the write fails

    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_lock_tells_of_its_own_folder_and_of_nothing_that_happens_within(tmp_path):
    with pytest.raises(PermissionError), locked(tmp_path / "new" / ".lock"):
        raise PermissionError(errno.EACCES, "of another file")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write here"), locked(tmp_path / "file" / ".lock"):
        pass


def test_what_is_there_is_not_written_again(tmp_path):
    path = tmp_path / "new" / "file.npy"
    for content in (b"first", b"second"):
        write_once(path, lambda file, content=content: file.write_bytes(content))

    assert path.read_bytes() == b"first"
    assert names(path.parent) == ["file.lock", "file.npy"]


def test_of_several_that_write_at_once_one_does(tmp_path):
    together, calls = Barrier(3), []

    def write(file):
        calls.append(file)
        file.write_bytes(str(len(calls)).encode())

    def ask(_):
        together.wait()
        write_once(tmp_path / "file.npy", write)
        return (tmp_path / "file.npy").read_bytes()

    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(ask, range(3)))

    assert found == [b"1"] * 3
    assert len(calls) == 1


def test_the_next_one_writes_what_a_failed_or_killed_writer_left_undone(tmp_path):
    path = tmp_path / "file.npy"
    half = tmp_path / f".{path.name}.1-abcd.tmp"
    half.write_bytes(b"half")

    with pytest.raises(TypeError):
        write_once(path, lambda file: file.write_bytes("no bytes"))
    assert names(tmp_path) == ["file.lock"]
    write_once(path, lambda file: file.write_bytes(b"all of it"))
    assert path.read_bytes() == b"all of it"


def test_json_takes_numpy_numbers_and_refuses_objects(tmp_path):
    write_json(tmp_path / "a.json", {"loss": np.float32(0.5), "count": np.int64(3)})

    assert json.loads((tmp_path / "a.json").read_text()) == {"loss": 0.5, "count": 3}
    with pytest.raises(TypeError, match="JSON"):
        write_json(tmp_path / "b.json", {"x": object()})
    assert names(tmp_path) == ["a.json"]


WRITE_TOO_MUCH = """
import resource, sys
from pathlib import Path
from trainables.writing import write_bytes
from trainables.errors import InputError

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bytes(Path(sys.argv[1]), b"x" * 5000)
except InputError as error:
    print(error)
"""


def test_a_full_disk_is_told_and_leaves_no_half_file(tmp_path):
    path = tmp_path / "folder" / "file"
    command = [sys.executable, "-c", WRITE_TOO_MUCH, path]

    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "full" in out
    assert str(path) in out
    assert names(path.parent) == []


def test_what_killed_writers_left_is_cleared_away_by_the_very_name(tmp_path):
    for name in (".my[set].1-ab.tmp", ".mys.1-ab.tmp", ".a*.1-ab.tmp", ".abc.1-ab.tmp", "my[set]", "x.tmp"):
        (tmp_path / name).touch()
    remove_temporaries(tmp_path, "my[set]")
    remove_temporaries(tmp_path, "a*")
    assert names(tmp_path) == [".abc.1-ab.tmp", ".mys.1-ab.tmp", "my[set]", "x.tmp"]
    remove_temporaries(tmp_path)
    assert names(tmp_path) == ["my[set]", "x.tmp"]

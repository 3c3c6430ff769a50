"""Files whole or absent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from trainables.writing import atomic_file, remove_temporaries, write_bytes, write_json


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

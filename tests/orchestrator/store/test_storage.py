"""Files whole or absent, and a storage that can be used or is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.store.artifacts import Artifacts
from orchestrator.store.records import Status
from orchestrator.store.storage import check_storage, open_storage
from trainables.errors import InputError
from trainables.writing import write_bytes


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_storage_is_made(tmp_path):
    assert open_storage(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert names(tmp_path / "a" / "b") == []


def test_checking_a_storage_writes_nothing(tmp_path):
    assert check_storage(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert names(tmp_path) == []


@pytest.mark.parametrize("form", ["file://{}", "file:{}", "/some/study/file:{}"])
def test_a_file_uri_is_a_local_folder(tmp_path, form):
    # As `Path` and a study's folder leave it.
    assert check_storage(Path(form.format(tmp_path / "results"))) == tmp_path / "results"


@pytest.mark.parametrize("uri", ["s3://bucket/results", "gs://bucket", Path("s3://bucket/x"), Path("/a") / "gs:/b"])
@pytest.mark.parametrize("use", [check_storage, open_storage])
def test_object_stores_are_refused_by_name(uri, use):
    with pytest.raises(InputError, match=r"(s3|gs):// is not supported yet"):
        use(uri)


@pytest.mark.parametrize("use", [check_storage, open_storage])
def test_a_file_in_the_way_is_refused(tmp_path, use):
    (tmp_path / "results").write_text("a file")

    with pytest.raises(InputError, match="file is where"):
        use(tmp_path / "results" / "deeper")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
def test_a_storage_that_cannot_be_written_is_refused():
    with pytest.raises(InputError, match="not writable"):
        open_storage(Path("/proc/self/results"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("use", [check_storage, open_storage])
def test_a_read_only_folder_is_refused(tmp_path, use):
    tmp_path.chmod(0o500)

    with pytest.raises(InputError, match="not writable"):
        use(tmp_path / "results")


def test_every_cell_has_a_folder_of_its_own(tmp_path, cell):
    artifacts = Artifacts(tmp_path)

    folder = artifacts.folder(cell(1).id)

    assert folder == tmp_path / "cells" / cell(1).id[:2] / cell(1).id
    assert folder != artifacts.folder(cell(2).id)
    assert not folder.exists()


def test_what_a_worker_finished_is_found(tmp_path, cell, record):
    artifacts = Artifacts(tmp_path)
    done = record(1, files=("scores.parquet",))
    write_bytes(artifacts.folder(done.cell) / "scores.parquet", b"scores")
    artifacts.leave(done)

    assert artifacts.left_behind([cell(0).id, cell(1).id]) == [done]
    assert artifacts.left_behind([cell(0).id]) == []


def test_what_is_not_whole_does_not_count(tmp_path, record, caplog):
    artifacts = Artifacts(tmp_path)
    failed, lacking, damaged = record(1, Status.FAILED), record(2, files=("gone.png",)), record(3)
    for each in (failed, lacking, damaged):
        artifacts.leave(each)
    (artifacts.folder(damaged.cell) / "record.json").write_text("{")

    assert artifacts.left_behind([failed.cell, lacking.cell, damaged.cell]) == []
    assert "damaged" in caplog.text

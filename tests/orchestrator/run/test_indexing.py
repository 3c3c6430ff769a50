"""Images read on Ray."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest

from orchestrator.run import indexing
from orchestrator.run.indexing import examine_on_ray, examine_where_it_pays
from trainables.errors import InputError
from trainables.indexing.examine import Facts
from trainables.indexing.examining import Item
from trainables.indexing.index import index_folder

_examine_batch = indexing._examine_batch


@pytest.fixture(autouse=True)
def _batches_of_ten(monkeypatch, local_ray):
    del local_ray
    monkeypatch.setattr(indexing, "BATCH", 10)


def test_ray_and_threads_find_the_same(small_data):
    told = []
    on_ray = index_folder(small_data, examine=examine_on_ray(), progress=lambda *counts: told.append(counts))

    pd.testing.assert_frame_equal(on_ray.frame, index_folder(small_data).frame)
    assert [done for done, _ in told] == [*range(0, len(on_ray.frame), 10), len(on_ray.frame)]


def test_a_batch_whose_worker_is_lost_is_read_by_another(small_data, tmp_path, monkeypatch):
    lost = tmp_path / "lost"

    def lose_one_worker(root: Path, batch: Sequence[Item]) -> list[Facts]:
        if not lost.exists():
            lost.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return _examine_batch(root, batch)

    monkeypatch.setattr(indexing, "_examine_batch", lose_one_worker)
    frame = index_folder(small_data, examine=examine_on_ray()).frame

    assert lost.exists()
    assert (frame["problem"] == "").all()


def test_images_that_end_every_worker_are_told_and_the_rest_is_kept(small_data, tmp_path, monkeypatch):
    def lose_every_worker(root: Path, batch: Sequence[Item]) -> list[Facts]:
        if batch[0][0] == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return _examine_batch(root, batch)

    fatal = index_folder(small_data).frame["path"][50]
    monkeypatch.setattr(indexing, "_examine_batch", lose_every_worker)
    monkeypatch.setattr(indexing, "RETRIES", 1)
    with pytest.raises(InputError, match=r"2 workers ended[\s\S]*" + fatal):
        index_folder(small_data, kept=tmp_path / "index.parquet", examine=examine_on_ray())

    (part,) = (tmp_path / "index.parquet.parts").iterdir()
    assert len(pd.read_parquet(part)) == 50


def test_a_node_that_does_not_see_the_folder_says_so(tmp_path):
    with pytest.raises(InputError, match="does not see the data folder") as told:
        list(examine_on_ray()(tmp_path / "elsewhere", [("a.png", -1, 1, 1)]))
    assert "Traceback" not in str(told.value)


def test_no_more_is_read_than_was_asked_for(small_data):
    frame = index_folder(small_data).frame
    items = list(frame[["path", "offset", "bytes", "modified"]].itertuples(index=False, name=None))
    chunks = examine_on_ray()(small_data, items)

    assert [len(chunk) for chunk in islice(chunks, 2)] == [10, 10]
    chunks.close()
    assert list(chunks) == []


def test_few_images_are_read_without_ray(small_data, monkeypatch):
    monkeypatch.setattr(indexing, "examine_on_ray", None)
    assert len(index_folder(small_data, examine=examine_where_it_pays()).frame) == 260
    monkeypatch.setattr(indexing, "FEW", 259)
    with pytest.raises(TypeError):
        index_folder(small_data, examine=examine_where_it_pays())

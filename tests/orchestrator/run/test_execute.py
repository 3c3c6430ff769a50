"""One job in this process: what becomes of a cell that runs out of memory, and what an audit leaves behind."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from orchestrator.plan.cells import Cell, Stage, Tags
from orchestrator.plan.jobs import Job
from orchestrator.run import execute as module
from orchestrator.run.execute import MOST_PARTS, execute
from orchestrator.run.place import Place
from orchestrator.store.records import Status
from orchestrator.store.tables import ROWS_FILE
from tests.orchestrator.run.made_up import cell
from tests.trainables.auditing.biased import manifest_of, write_biased
from trainables.context import LocalContext
from trainables.contract import Outcome
from trainables.data.preprocess import Preprocess

CELL = cell(Stage.TRAIN, "s0")


@pytest.fixture
def place(tmp_path):
    return Place(storage=tmp_path, index=tmp_path / "none", cache=tmp_path)


def run(place, monkeypatch, fits_in, error=torch.OutOfMemoryError, **computing):
    """The record of a cell that needs its batches in ``fits_in`` parts, and the parts that were tried."""
    tried = []

    def stage(cell, bench, context):
        del cell, bench
        tried.append(context.accumulate)
        if context.accumulate < fits_in:
            raise error("no more") if isinstance(error, type) else error
        return Outcome(metrics={"x": 1.0})

    monkeypatch.setattr(module, "_STAGES", {Stage.TRAIN: stage})
    context = LocalContext(folder=place.folder(CELL.id), **computing)
    (record,) = execute(Job((CELL,), frozenset()), place, lambda _: context)
    return record, tried


def refused_by_the_cpu():
    """What torch raises where main memory does not suffice."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    return caught.value


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError, refused_by_the_cpu()])
def test_a_batch_that_does_not_fit_is_taken_in_parts_and_the_record_tells(place, monkeypatch, error):
    record, tried = run(place, monkeypatch, fits_in=4, error=error)
    assert (record.status, tried) == (Status.DONE, [1, 2, 4])
    assert record.metrics == {"x": 1.0, "accumulate": 4.0}


def test_parts_that_were_asked_for_are_no_news(place, monkeypatch):
    record, tried = run(place, monkeypatch, fits_in=4, accumulate=4)
    assert (record.metrics, tried) == ({"x": 1.0}, [4])


def test_there_is_an_end_to_it(place, monkeypatch):
    record, tried = run(place, monkeypatch, fits_in=10 * MOST_PARTS)
    assert record.status is Status.FAILED
    assert record.failure.kind == "OutOfMemoryError"
    assert tried[-1] == MOST_PARTS


def test_a_bug_is_not_tried_again(place, monkeypatch):
    record, tried = run(place, monkeypatch, fits_in=2, error=RuntimeError)
    assert (record.status, tried) == (Status.FAILED, [1])


def test_one_of_several_workers_does_not_start_over_alone(place, monkeypatch):
    record, tried = run(place, monkeypatch, fits_in=2, world_size=2)
    assert (record.status, tried) == (Status.FAILED, [1])


def test_an_audit_decodes_no_set_into_the_cache(tmp_path):
    image = Preprocess(size=32)
    place = Place(storage=tmp_path, index=tmp_path / "index.parquet", cache=tmp_path / "cache")
    manifest_of(write_biased(tmp_path / "images", 22), image).save(place.index)
    tags = Tags(detector="", source="", target="", adaptation="", seed=0)
    params = {"against": {"gan": ["camera"]}, "image": image.model_dump(mode="json")}
    audit = Cell(stage=Stage.AUDIT, method="shortcut", params=params, tags=tags)
    context = LocalContext(folder=place.folder(audit.id))
    (record,) = execute(Job((audit,), frozenset()), place, lambda _: context)
    assert record.status is Status.DONE
    assert record.metrics["shortcut_auroc/gan"] > 0.5
    assert not place.cache.exists()
    assert {"image", "group", "score"} < set(pd.read_parquet(context.folder / ROWS_FILE))

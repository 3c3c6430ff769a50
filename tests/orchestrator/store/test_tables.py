"""The store's tables have the columns they declare."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator.plan.cells import Stage, Tags
from orchestrator.store.records import Failure, Status
from orchestrator.store.tables import (
    ATTACKS,
    RESULTS,
    SCORES,
    cells_frame,
    read_rows,
    read_scores,
    results_frame,
    write_rows,
    write_scores,
)


def test_scores_come_back_as_they_were_given(tmp_path):
    scores = np.array([0.1, 0.9, 1.0])
    write_scores(tmp_path / "s.parquet", ["a", "b", "c"], np.array([0, 1, 1]), ["cam", "gan", "gan"], scores)

    frame = read_scores(tmp_path / "s.parquet")

    assert list(frame.columns) == ["image", "label", "generator", "score"]
    assert frame["image"].tolist() == ["a", "b", "c"]
    assert frame["label"].tolist() == [0, 1, 1]
    assert frame["generator"].tolist() == ["cam", "gan", "gan"]
    np.testing.assert_array_equal(frame["score"], scores.astype(np.float32))
    assert pq.read_schema(tmp_path / "s.parquet").types == [column.type for column in SCORES]


def test_scores_of_unequal_length_are_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match="length"):
        write_scores(tmp_path / "s.parquet", ["a"], np.array([0, 1]), ["cam"], np.array([0.5]))

    assert not (tmp_path / "s.parquet").exists()


def attack_row(**more: object) -> dict[str, object]:
    row = {"image": "a", "label": 1, "epsilon": 2, "clean_score": 0.9, "adversarial_score": 0.1, "linf": 2.0}
    return {"direction": "fake_to_real", **row, **more}


def test_rows_keep_declared_types_and_columns_of_their_own(tmp_path):
    write_rows(tmp_path / "r.parquet", [attack_row(), attack_row(label=0)], ATTACKS)

    schema, frame = pq.read_schema(tmp_path / "r.parquet"), read_rows(tmp_path / "r.parquet")

    assert schema.field("epsilon").type == pa.float32()
    assert list(frame.columns) == [*(column.name for column in ATTACKS), "direction"]
    assert frame["direction"].tolist() == ["fake_to_real"] * 2
    assert frame["label"].tolist() == [1, 0]


def test_no_rows_make_an_empty_table_with_its_columns(tmp_path):
    write_rows(tmp_path / "r.parquet", [], ATTACKS)

    frame = read_rows(tmp_path / "r.parquet")

    assert len(frame) == 0
    assert list(frame.columns) == [column.name for column in ATTACKS]


def test_rows_without_a_declared_column_are_refused(tmp_path):
    row = attack_row()
    del row["linf"]

    with pytest.raises(ValueError, match="linf"):
        write_rows(tmp_path / "r.parquet", [row], ATTACKS)


def test_rows_that_differ_in_columns_are_refused(tmp_path):
    with pytest.raises(ValueError, match="extra"):
        write_rows(tmp_path / "r.parquet", [attack_row(), attack_row(extra=1)], ATTACKS)


def test_results_are_the_finished_score_cells(record):
    scored = record(1, stage=Stage.SCORE, metrics={"auroc": 0.5, "accuracy": 0.6})
    other = record(2, stage=Stage.SCORE, metrics={"auroc": 0.75})
    failed = record(3, Status.FAILED, stage=Stage.SCORE)

    frame = results_frame([record(1), scored, other, failed])

    assert list(frame.columns) == [*RESULTS, "auroc", "accuracy"]
    assert frame["cell"].tolist() == [scored.cell, other.cell]
    assert frame["model"].tolist() == [record(1).cell, record(2).cell]
    assert frame["test"].tolist() == ["nearest"] * 2
    assert frame["auroc"].tolist() == [0.5, 0.75]
    assert np.isnan(frame["accuracy"][1])


def test_a_plan_may_give_cells_its_own_names(record):
    scored = record(1, stage=Stage.SCORE)
    names = Tags(detector="mine", source="a", target="b", adaptation="dann", seed=7)

    frame = results_frame([scored, record(2, stage=Stage.SCORE)], {scored.cell: names})

    assert frame["detector"].tolist() == ["mine", "cnn"]
    assert frame["seed"].tolist() == [7, 2]


def test_frames_of_nothing_have_their_columns():
    assert list(results_frame([]).columns) == list(RESULTS)
    assert "reason" in cells_frame([]).columns


def test_cells_tell_their_cost_and_why_they_failed(record):
    failure = Failure(kind="ValueError", message="no BatchNorm")

    frame = cells_frame([record(1, images=64), record(2, Status.FAILED, failure=failure)])

    assert frame["status"].tolist() == ["done", "failed"]
    assert frame["failure"].tolist() == ["", "ValueError"]
    assert frame["reason"].tolist() == ["", "no BatchNorm"]
    assert frame["seconds"].tolist() == [2.0, 2.0]
    assert frame["images"].tolist() == [64, 0]
    assert isinstance(frame, pd.DataFrame)

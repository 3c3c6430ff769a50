"""A detector that is known by its scores alone, in the tables of a report: its own are honest, no others change."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from orchestrator.plan.cells import Cell, Stage, Tags
from orchestrator.store.tables import SCORES_FILE
from reports.comparison import recovery_frame
from reports.frames import matrix_frame, summary_frame
from reports.gains import gains_frame
from reports.loading import load_results
from reports.results import Results
from reports.severity import curves_of, drop_frame
from reports.statistics import Resampler
from tests.reports.synthetic import Store, build_store, scores_of

GENERATORS = ("tconv", "nearest")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    root = tmp_path_factory.mktemp("outside") / "results"
    return build_store(root, generators=GENERATORS, methods=("recalibrate", "oracle"), images=20, looked_at=False)


def loaded(store: Store) -> Results:
    return load_results(store.cells, store.records, store.artifacts, Resampler(50))


def with_vendor(store: Store) -> Store:
    """The store, and before all else in it the scores of a vendor."""
    both = replace(store, cells=list(store.cells), records=dict(store.records))
    place = {"source": "outside", "target": "outside", "selection": "outside"}
    tags = Tags(detector="vendor", adaptation="source_only", seed=0, **place)
    table = both.add(Cell(stage=Stage.TRAIN, method="scores", params={}, tags=tags), seconds=0.1)
    for test in GENERATORS:
        tested, params = replace(tags, test=test), {"test": test, "corruption": None}
        cell = Cell(stage=Stage.SCORE, method="outside", params=params, tags=tested, needs=(table.id,))
        both.write(both.add(cell, files=(SCORES_FILE,), seconds=0.1), scores_of(test, 3.0, 7, both.images))
    both.cells[:] = [*both.cells[-3:], *both.cells[:-3]]
    return both


@pytest.mark.parametrize(
    "made",
    [summary_frame, gains_frame, recovery_frame, lambda results: drop_frame(results, curves_of(results))],
    ids=["summary", "gains", "recovery", "drops"],
)
def test_the_tables_of_the_others_are_as_without_it(store: Store, made) -> None:
    alone, both = (made(loaded(each)) for each in (store, with_vendor(store)))
    others = both[both["detector"] != "vendor"].reset_index(drop=True)
    assert len(alone)
    pd.testing.assert_frame_equal(others.drop(columns="plan"), alone.drop(columns="plan"), check_dtype=False)


def test_all_its_tests_are_across_generators(store: Store) -> None:
    results = loaded(with_vendor(store))
    ours = results.alone["vendor"]
    assert (ours.sources, ours.diagonal) == (("outside",), ())
    assert ours.pairs == (("outside", "tconv"), ("outside", "nearest"))
    assert (ours.adaptations, ours.oracles, ours.variants) == (("source_only",), (), ())
    assert (ours.plan, ours.selection) == (results.plan, results.selection)
    theirs = results.alone["residual_cnn"]
    assert theirs.sources == GENERATORS
    assert theirs.oracles == ("oracle",)


def test_its_matrix_has_one_row_and_its_summary_no_corruptions(store: Store) -> None:
    results = loaded(with_vendor(store))
    matrix = matrix_frame(results.alone["vendor"], "vendor", "source_only", "accuracy")
    assert list(matrix.index) == ["outside"]
    found = {cell.tags.test: results.estimates[cell.id]["accuracy"].value for cell in results.alone["vendor"].grid[1:]}
    assert matrix.loc["outside"].to_dict() == found
    summary = summary_frame(results)
    (row,) = summary[summary["detector"] == "vendor"].to_dict("records")
    assert row["accuracy"] == pytest.approx(sum(found.values()) / 2)
    assert (row["variant"], row["pairs"], row["pairs_planned"]) == ("", 2, 2)

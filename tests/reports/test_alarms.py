"""Alarms: each kind is raised by what it is about, by nothing else, and names its cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.plan.cells import Cell, Stage
from orchestrator.store.tables import SCORES_FILE, read_scores
from reports.alarms import (
    ALARMS,
    COLLAPSE,
    DEGENERATE,
    LOST,
    PARTED,
    WITHIN,
    WORSE,
    alarm_counts,
    alarm_frame,
    counts_table,
)
from reports.gains import gains_frame
from reports.loading import load_results
from reports.statistics import Resampler
from tests.reports.synthetic import GENERATORS, Store

PLACE = {"source": "tconv", "target": "nearest"}


def alarms(store: Store) -> pd.DataFrame:
    results = load_results(store.cells, store.records, store.artifacts, Resampler(200))
    return alarm_frame(results, gains_frame(results))


def cells_of(found: pd.DataFrame, kind: str) -> list[str]:
    return found.loc[found["alarm"] == kind, "cell"].tolist()


@pytest.fixture
def quiet(make_store: Callable[..., Store]) -> Store:
    """Two generators, methods that help, and an oracle."""
    return make_store(
        generators=GENERATORS[:2], methods=("coral", "dann", "oracle"), corruptions=(), images=50, looked_at=False
    )


def scored(store: Store, adaptation: str, **tags: Any) -> Cell:
    (cell,) = store.find(Stage.SCORE, adaptation=adaptation, **{**PLACE, "test": "nearest", **tags})
    return cell


def call_all(store: Store, cell: Cell, share: float) -> None:
    """Change a cell's scores so that this share of its images is called fake."""
    table = read_scores(store.artifacts.folder(cell.id) / SCORES_FILE)
    table["score"] = np.where(np.arange(len(table)) < share * len(table), 0.9, 0.1)
    store.write(cell, table)


def test_a_study_in_which_all_is_well_has_no_alarms(quiet: Store) -> None:
    found = alarms(quiet)
    assert list(found.columns) == list(ALARMS)
    assert found.empty
    assert alarm_counts(found) == {}


@pytest.mark.parametrize(("share", "raised"), [(0.0, True), (0.04, True), (0.05, False), (0.95, False), (1.0, True)])
def test_a_model_that_calls_nearly_all_images_alike_has_collapsed(quiet: Store, share: float, raised: bool) -> None:
    call_all(quiet, scored(quiet, "coral"), share)
    assert cells_of(alarms(quiet), COLLAPSE) == ["adapt/residual_cnn/tconv/nearest/coral/seed0"] * raised


def test_a_test_set_of_one_class_is_no_collapse(quiet: Store) -> None:
    cell = scored(quiet, "coral")
    table = read_scores(quiet.artifacts.folder(cell.id) / SCORES_FILE)
    quiet.write(cell, table[table["label"] == 1].assign(score=0.9))
    assert cells_of(alarms(quiet), COLLAPSE) == []


def test_the_source_detector_and_the_oracle_may_collapse_too(quiet: Store) -> None:
    call_all(quiet, scored(quiet, "source_only", target="tconv", test="tconv"), 0.0)
    call_all(quiet, scored(quiet, "oracle"), 1.0)
    found = alarms(quiet)
    known = ["train/residual_cnn/tconv/seed0", "adapt/residual_cnn/tconv/nearest/oracle/seed0"]
    assert sorted(cells_of(found, COLLAPSE)) == sorted(known)
    assert set(found.loc[found["adaptation"] == "oracle", "alarm"]) == {COLLAPSE}


@pytest.mark.parametrize(("lost", "raised"), [(0.02, False), (0.03, False), (0.04, True)])
def test_source_accuracy_may_fall_by_three_points(quiet: Store, lost: float, raised: bool) -> None:
    plain = scored(quiet, "source_only", target="tconv", test="tconv")
    table = read_scores(quiet.artifacts.folder(plain.id) / SCORES_FILE)
    before = float(((table["score"] > 0.5) == (table["label"] == 1)).mean())
    after = scored(quiet, "dann", test="tconv")
    record = quiet.records[after.id]
    quiet.records[after.id] = replace(record, metrics={**record.metrics, "accuracy": before - lost})
    assert cells_of(alarms(quiet), LOST) == ["adapt/residual_cnn/tconv/nearest/dann/seed0"] * raised


@pytest.mark.parametrize(
    ("name", "accuracies", "raised"),
    [
        ("discriminator_accuracy", (0.6, 0.99, 1.0), True),
        ("gradient_discriminator_accuracy", (1.0,), True),
        ("discriminator_accuracy", (0.99, 0.98, 1.0), False),
        ("discriminator_accuracy", (1.0, 1.0, 0.98), False),
        ("discriminator_accuracy", (0.5, 0.5, 0.5), False),
    ],
)
def test_a_discriminator_that_has_won_in_the_last_epochs_is_degenerate(
    quiet: Store, name: str, accuracies: tuple[float, ...], raised: bool
) -> None:
    (cell,) = quiet.find(Stage.ADAPT, adaptation="dann", **PLACE)
    curves = tuple({"epoch": epoch, name: value, "domain": 0.1} for epoch, value in enumerate(accuracies, start=1))
    quiet.records[cell.id] = replace(quiet.records[cell.id], curves=curves)
    found = alarms(quiet)
    assert cells_of(found, DEGENERATE) == [cell.name] * raised
    assert found["told"].str.startswith(f"{name} ").all()


def test_a_model_whose_batches_memory_took_apart_is_named_with_the_parts(quiet: Store) -> None:
    (cell,) = quiet.find(Stage.TRAIN, source="tconv")
    record = quiet.records[cell.id]
    quiet.records[cell.id] = replace(record, metrics={**record.metrics, "accumulate": 4.0})
    found = alarms(quiet)
    assert cells_of(found, PARTED) == ["train/residual_cnn/tconv/seed0"]
    assert found[["level", "value", "told"]].values.tolist() == [["alarm", 4.0, "in 4 parts"]]


def test_gains_below_0_alarm_and_those_within_their_interval_inform(quiet: Store) -> None:
    plain = scored(quiet, "source_only", target="tconv")
    same = read_scores(quiet.artifacts.folder(plain.id) / SCORES_FILE)
    quiet.write(scored(quiet, "coral"), same)
    turned = same.assign(score=np.where(same["label"] == 1, 0.1, 0.9))
    quiet.write(scored(quiet, "dann"), turned.assign(score=turned["score"].where(turned.index % 3 > 0, 0.5)))
    found = alarms(quiet)
    assert cells_of(found, WITHIN) == ["adapt/residual_cnn/tconv/nearest/coral/seed0"]
    assert cells_of(found, WORSE) == ["adapt/residual_cnn/tconv/nearest/dann/seed0"]
    levels = dict(zip(found["alarm"], found["level"], strict=True))
    assert (levels[WITHIN], levels[WORSE]) == ("information", "alarm")
    assert found["told"].str.contains("−").any()


def test_a_gain_over_several_seeds_names_the_pattern_of_its_cells(make_store: Callable[..., Store]) -> None:
    store = make_store(
        generators=GENERATORS[:2], methods=("coral",), corruptions=(), seeds=(0, 1), images=30, looked_at=False
    )
    for seed in (0, 1):
        plain = scored(store, "source_only", target="tconv", seed=seed)
        table = read_scores(store.artifacts.folder(plain.id) / SCORES_FILE)
        store.write(scored(store, "coral", seed=seed), table)
    found = alarms(store)
    assert cells_of(found, WITHIN) == ["adapt/residual_cnn/tconv/nearest/coral/seed*"]
    assert found.loc[found["alarm"] == WITHIN, "seed"].isna().all()


def test_alarms_are_counted_by_kind_and_method(quiet: Store) -> None:
    for name in ("coral", "dann"):
        call_all(quiet, scored(quiet, name), 1.0)
    found = alarms(quiet)
    assert alarm_counts(found)[COLLAPSE] == 2
    table = counts_table(found)
    place = table.columns.index(COLLAPSE) - table.heads
    assert {names[1]: row[place].text for names, row in table.rows} == {"coral": "1", "dann": "1", "": "2"}


def test_a_study_of_which_nothing_is_done_has_no_alarms(quiet: Store) -> None:
    quiet.drop(quiet.cells)
    assert alarms(quiet).empty

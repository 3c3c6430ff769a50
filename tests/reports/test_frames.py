"""The tables: what belongs where in the grid, holes, gains, costs and failures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from orchestrator.plan.cells import Cell, Stage, Tags
from orchestrator.plan.tuned import tuning_of
from orchestrator.store.tables import ROWS_FILE, SCORES_FILE, read_scores
from reports.frames import cost_frame, curve_frame, failure_frame, grid_frame, matrix_frame, summary_frame
from reports.gains import gains_frame
from reports.loading import load_results
from reports.results import Results
from reports.robustness import attack_frames
from reports.selection import MixedSelectionError
from reports.statistics import Resampler
from tests.reports.synthetic import GENERATORS, METHODS, Store

MakeStore = Callable[..., Store]


def load(store: Store, draws: int = 200) -> Results:
    return load_results(store.cells, store.records, store.artifacts, Resampler(draws))


@pytest.fixture(scope="module")
def results(shared_store: Store) -> Results:
    return load(shared_store)


def accuracy(store: Store, cell: Cell) -> float:
    frame = read_scores(store.artifacts.folder(cell.id) / SCORES_FILE)
    return float(((frame["score"] > 0.5) == (frame["label"] == 1)).mean())


def test_matrix_holds_the_adapted_models_and_the_source_detectors_on_its_diagonal(
    shared_store: Store, results: Results
) -> None:
    matrix = matrix_frame(results, "residual_cnn", "dann", "accuracy")
    assert list(matrix.index) == list(matrix.columns) == list(GENERATORS)
    for source in GENERATORS:
        for test in GENERATORS:
            method = "source_only" if source == test else "dann"
            place = {"source": source, "target": test, "test": test, "adaptation": method, "variant": ""}
            (cell,) = shared_store.find(Stage.SCORE, **place)
            assert matrix.loc[source, test] == pytest.approx(accuracy(shared_store, cell))


def test_source_only_matrix_is_the_source_detector_everywhere(shared_store: Store, results: Results) -> None:
    matrix = matrix_frame(results, "residual_cnn", "source_only", "accuracy")
    place = {"source": "tconv", "target": "tconv", "test": "latent8", "variant": ""}
    (cell,) = shared_store.find(Stage.SCORE, adaptation="source_only", **place)
    assert matrix.loc["tconv", "latent8"] == pytest.approx(accuracy(shared_store, cell))


def test_a_test_generator_that_is_no_source_gets_a_column_behind_the_others(store: Store) -> None:
    trained = [cell for cell in store.cells if cell.tags.source in GENERATORS[2:]]
    results = load_results(trained, store.records, store.artifacts, Resampler(20))
    assert results.sources == GENERATORS[2:]
    assert results.tests == (*GENERATORS[2:], *GENERATORS[:2])
    assert len(results.diagonal) == 2
    assert len(results.pairs) == 6


def test_grid_has_a_row_for_every_score_cell_done_or_not(store: Store) -> None:
    dropped = store.find(Stage.SCORE, adaptation="dann", source="tconv")
    store.drop(dropped)
    grid = grid_frame(load(store))
    assert len(grid) == len(store.find(Stage.SCORE))
    assert (grid["status"] == "pending").sum() == len(dropped)
    assert grid.loc[grid["status"] == "pending", "accuracy"].isna().all()
    entries = grid[grid["matrix"] & (grid["status"] == "done")]
    assert (entries["accuracy_low"] <= entries["accuracy"]).all()
    assert (entries["accuracy"] <= entries["accuracy_high"]).all()
    outside = grid[~grid["matrix"] & (grid["status"] == "done")]
    assert outside["accuracy"].notna().all()
    assert outside["accuracy_low"].isna().all()
    assert (grid.loc[grid["status"] == "done", "ap"] == 0.9).all()


def test_tags_are_the_plans_even_if_another_study_ran_the_cell(store: Store) -> None:
    for id_, record in store.records.items():
        store.records[id_] = replace(record, tags={**record.tags, "detector": "their_name"})
    assert set(grid_frame(load(store))["detector"]) == {"residual_cnn"}


def test_records_of_other_studies_are_left_out(store: Store) -> None:
    ours = [cell for cell in store.cells if cell.tags.source == "tconv"]
    results = load_results(ours, store.records, store.artifacts, Resampler(20))
    assert set(results.records) == {cell.id for cell in ours}


def test_gain_is_the_difference_on_the_same_images_over_both_baselines(results: Results) -> None:
    gains = gains_frame(results)
    assert set(gains["baseline"]) == {"source_only", "recalibrate"}
    np.testing.assert_allclose(gains["gain"], gains["value"] - gains["baseline_value"], atol=1e-12)
    pairs = gains[(gains["scope"] == "pair") & (gains["metric"] == "accuracy")]
    means = gains[(gains["scope"] == "mean") & (gains["metric"] == "accuracy")]
    for row in means.itertuples():
        part = pairs[(pairs["adaptation"] == row.adaptation) & (pairs["baseline"] == row.baseline)]
        assert row.pairs == row.pairs_planned == len(part) == 12
        assert row.gain == pytest.approx(part["gain"].mean())
    best = means[(means["adaptation"] == "dann") & (means["baseline"] == "recalibrate")]
    assert best["clear"].all()
    assert (best["gain"] > 0.1).all()


def test_gain_within_its_interval_is_not_clear(results: Results) -> None:
    gains = gains_frame(results)
    same = gains[(gains["adaptation"] == "recalibrate") & (gains["metric"] == "auroc")]
    assert len(same) == 13
    assert not same["clear"].any()  # the threshold alone moves: the ranking is as it was
    clear = gains["clear"]
    assert (clear == ((gains["gain_low"] > 0) | (gains["gain_high"] < 0))).all()


def test_gain_is_left_out_where_the_baseline_is_not_done(store: Store) -> None:
    store.drop(store.find(Stage.SCORE, adaptation="recalibrate", source="tconv", target="nearest"))
    gains = gains_frame(load(store))
    ours = gains[(gains["adaptation"] == "dann") & (gains["metric"] == "accuracy") & (gains["scope"] == "mean")]
    assert dict(zip(ours["baseline"], ours["pairs"], strict=True)) == {"source_only": 12, "recalibrate": 11}


def test_baseline_is_found_by_its_kind_whatever_it_is_called(store: Store) -> None:
    cells = [replace_adaptation(cell, "recalibrate", "threshold") for cell in store.cells]
    results = load_results(cells, store.records, store.artifacts, Resampler(20))
    assert results.baselines == ("source_only", "threshold")


def replace_adaptation(cell: Cell, old: str, new: str) -> Cell:
    if cell.tags.adaptation != old:
        return cell
    return replace_tags(cell, adaptation=new)


def replace_tags(cell: Cell, **changes: str) -> Cell:
    parts = {name: getattr(cell, name) for name in ("stage", "method", "params", "needs", "data", "version")}
    return Cell(**parts, tags=replace(cell.tags, **changes))


def test_tables_refuse_to_mix_selection_rules(store: Store) -> None:
    store.cells[-1] = replace_tags(store.cells[-1], selection="leave_one_out")
    with pytest.raises(MixedSelectionError, match="leave_one_out, source_val"):
        load(store)


def test_source_detectors_may_stand_beside_methods_of_any_rule(store: Store) -> None:
    cells = [by_rule(cell, "im") for cell in store.cells]
    results = load_results(cells, store.records, store.artifacts, Resampler(20))
    assert (results.selection, results.oracles) == ("im", ())
    grid = grid_frame(results)
    assert set(grid.loc[grid["adaptation"] == "source_only", "selection"]) == {"source_val"}
    assert set(summary_frame(results)["selection"]) == {"im"}


def test_where_labels_chose_every_method_that_is_the_rule_and_nothing_stands_apart(make_store: MakeStore) -> None:
    store = make_store(generators=GENERATORS[:2], methods=("coral", "oracle"), corruptions=(), looked_at=False)
    cells = [by_rule(cell, "oracle") for cell in store.cells]
    results = load_results(cells, store.records, store.artifacts, Resampler(20))
    assert (results.selection, results.oracles) == ("oracle", ())
    assert results.adaptations == ("source_only", "coral", "oracle")


def test_an_oracle_alone_stands_apart(make_store: MakeStore) -> None:
    store = make_store(generators=GENERATORS[:2], methods=("oracle",), corruptions=(), looked_at=False)
    results = load(store, 20)
    assert (results.selection, results.oracles) == ("source_val", ("oracle",))


def test_a_method_that_labels_chose_is_refused_beside_others(store: Store) -> None:
    cells = [by_rule(cell, "oracle") if cell.tags.adaptation == "dann" else cell for cell in store.cells]
    with pytest.raises(MixedSelectionError, match="oracle, source_val"):
        load_results(cells, store.records, store.artifacts, Resampler(20))


def by_rule(cell: Cell, rule: str) -> Cell:
    return cell if cell.tags.adaptation == "source_only" else replace_tags(cell, selection=rule)


GRID_FRAMES = (grid_frame, summary_frame, curve_frame, gains_frame, failure_frame)


def test_sequences_are_in_no_table_of_the_grid_but_in_the_costs(store: Store) -> None:
    before = load(store, 20)
    known = [frame(before) for frame in GRID_FRAMES]
    place = Tags(detector="d", source="a", target="b", adaptation="replay", seed=7, selection="oracle", sequence="a-b")
    step = store.add(Cell(stage=Stage.ADAPT, method="replay", params={}, tags=place), seconds=5.0)
    tags = replace(place, test="b", variant="odd")
    store.add(Cell(stage=Stage.SCORE, method="clean", params={}, tags=tags, needs=(step.id,)), seconds=1.0)
    results = load(store, 20)
    for name in ("detectors", "adaptations", "sources", "tests", "variants", "selection", "oracles", "grid"):
        assert getattr(results, name) == getattr(before, name)
    for frame, earlier in zip(GRID_FRAMES, known, strict=True):
        assert_same_but_the_plan(frame(results), earlier)
    assert [cell.tags.sequence for cell in results.sequential] == ["a-b", "a-b"]
    costs = cost_frame(results).set_index(["stage", "method"])["seconds"]
    assert costs["adapt", "replay"] == 5.0
    assert costs["all", ""] == pytest.approx(costs.drop(("all", "")).sum())


def test_judging_and_tuning_cells_disturb_no_table(store: Store) -> None:
    before = load(store, 20)
    known = [frame(before) for frame in GRID_FRAMES]
    (adapted, *_) = store.find(Stage.ADAPT, adaptation="dann")
    for stage, method in ((Stage.VALIDATE, "rules"), (Stage.TUNE, "dann")):
        cell = Cell(stage=stage, method=method, params={"rules": {}}, tags=adapted.tags)
        store.add(cell, seconds=3.0, curves=({"epoch": 1, "value": 0.5, "best": 0.5},))
    results = load(store, 20)
    assert results.data == before.data
    for frame, earlier in zip(GRID_FRAMES, known, strict=True):
        assert_same_but_the_plan(frame(results), earlier)
    costs = cost_frame(results).set_index(["stage", "method"])
    assert costs.loc[("validate", "rules"), "seconds"] == 3.0
    assert costs.loc[("adapt", "dann"), "cells"] == 12


def test_the_best_trial_of_a_tuning_is_counted_once_in_all(store: Store) -> None:
    (like, *_) = store.find(Stage.ADAPT, adaptation="dann")
    before = cost_frame(load(store, 20)).iloc[-1]
    adapted = Cell(stage=Stage.ADAPT, method="dann", params={"adaptation": {"weight": 0.5}}, tags=like.tags)
    tuning = tuning_of(adapted, {"trials": 4})
    store.add(adapted, seconds=3.0, images=100)
    store.add(tuning, seconds=10.0, images=400, chosen={"weight": 0.5})
    costs = cost_frame(load(store, 20)).set_index(["stage", "method"])
    assert costs.loc[("tune", "dann"), "seconds"] == 10.0
    whole = costs.loc[("all", "")]
    assert (whole["seconds"] - before["seconds"], whole["images"] - before["images"]) == (10.0, 400)
    assert whole["cells"] - before["cells"] == 2


def assert_same_but_the_plan(found: pd.DataFrame, earlier: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(*(frame.drop(columns="plan", errors="ignore") for frame in (found, earlier)))


def test_summary_counts_each_pair_once_and_names_the_worst(results: Results) -> None:
    summary = summary_frame(results)
    assert len(summary) == 5 * 2
    row = summary[(summary["adaptation"] == "source_only") & (summary["variant"] == "")].iloc[0]
    matrix = matrix_frame(results, "residual_cnn", "source_only", "accuracy")
    values = matrix.to_numpy()
    off = values[~np.eye(4, dtype=bool)]
    assert row["accuracy"] == pytest.approx(off.mean())
    assert row["in_dataset"] == pytest.approx(np.diag(values).mean())
    assert row["worst"] == pytest.approx(off.min())
    assert matrix.loc[row["worst_source"], row["worst_target"]] == pytest.approx(off.min())


def test_drop_under_corruption_is_clean_minus_corrupted(results: Results) -> None:
    summary = summary_frame(results).set_index(["adaptation", "variant"])
    for adaptation in ("source_only", *METHODS):
        clean, corrupted = (summary.loc[(adaptation, variant)] for variant in ("", "jpeg70"))
        assert corrupted["drop"] == pytest.approx(clean["accuracy"] - corrupted["accuracy"])
    assert summary.loc[("dann", "jpeg70"), "drop_low"] > 0


def test_attack_rates_are_those_of_the_rows(shared_store: Store, results: Results) -> None:
    attacks, means = attack_frames(results)
    assert sorted(attacks["epsilon"].unique()) == [0, 1, 2, 4]
    row = attacks[attacks["epsilon"] == 2].iloc[0]
    table = pd.read_parquet(shared_store.artifacts.folder(row["cell"]) / ROWS_FILE)
    table = table[table["epsilon"] == 2]
    called = table["adversarial_score"] > 0.5
    assert row["robust_accuracy"] == pytest.approx((called == (table["label"] == 1)).mean())
    before = table["clean_score"] > 0.5
    assert row["fake_to_real"] == pytest.approx((~called[before & (table["label"] == 1)]).mean())
    assert row["real_to_fake"] == pytest.approx(called[~before & (table["label"] == 0)].mean())
    untouched = attacks[attacks["epsilon"] == 0]
    assert (untouched[["fake_to_real", "real_to_fake"]] == 0).all(axis=None)
    assert means.groupby("adaptation")["models"].first().to_dict() == {"source_only": 4} | dict.fromkeys(METHODS, 12)


def test_attack_without_rows_keeps_the_ledgers_figures_without_intervals(store: Store) -> None:
    for cell in store.find(Stage.ATTACK):
        (store.artifacts.folder(cell.id) / ROWS_FILE).unlink()
    attacks, _ = attack_frames(load(store))
    assert (attacks["epsilon"] == 2).all()
    assert (attacks["robust_accuracy"] == 0.25).all()
    assert attacks["robust_accuracy_low"].isna().all()


def test_scores_that_are_gone_leave_the_ledgers_figure_without_interval(store: Store) -> None:
    (cell,) = store.find(Stage.SCORE, adaptation="dann", source="tconv", target="nearest", test="nearest", variant="")
    known = accuracy(store, cell)
    (store.artifacts.folder(cell.id) / SCORES_FILE).unlink()
    grid = grid_frame(load(store)).set_index("cell")
    assert grid.loc[cell.id, "accuracy"] == pytest.approx(known)
    assert np.isnan(grid.loc[cell.id, "accuracy_low"])


def test_failed_cells_come_before_those_they_block(store: Store) -> None:
    failed = store.find(Stage.ADAPT, adaptation="coral")[0]
    store.fail(failed)
    failures = failure_frame(load(store))
    assert failures["status"].tolist() == ["failed"] + ["blocked"] * 10
    assert failures.iloc[0]["kind"] == "RuntimeError"
    assert set(failures["message"][1:]) == {failed.name}


def test_costs_add_up(results: Results) -> None:
    costs = cost_frame(results)
    *parts, whole = costs.to_dict("records")
    assert whole["stage"] == "all"
    for name in ("cells", "done", "seconds", "images"):
        assert whole[name] == pytest.approx(sum(part[name] for part in parts))
    assert parts[0]["images_per_second"] == pytest.approx(400)


def test_curves_have_a_row_an_epoch_and_metric(results: Results) -> None:
    curves = curve_frame(results)
    assert curves["metric"].value_counts().to_dict() == {
        "loss": (4 + 48) * 5,
        "val_accuracy": (4 + 48) * 5,
        "discriminator_accuracy": 12 * 5,
    }


def test_seeds_are_averaged_and_paired(make_store: Callable[..., Store]) -> None:
    store = make_store(generators=GENERATORS[:2], methods=("recalibrate", "dann"), seeds=(0, 1, 2), corruptions=())
    results = load(store)
    grid = grid_frame(results)
    ours = grid[(grid["adaptation"] == "dann") & (grid["source"] == "tconv") & (grid["test"] == "nearest")]
    matrix = matrix_frame(results, "residual_cnn", "dann", "accuracy")
    assert len(ours) == 3
    assert matrix.loc["tconv", "nearest"] == pytest.approx(ours["accuracy"].mean())
    store.drop(store.find(Stage.SCORE, adaptation="recalibrate", seed=1))
    gains = gains_frame(load(store))
    row = gains[(gains["adaptation"] == "dann") & (gains["baseline"] == "recalibrate") & (gains["scope"] == "pair")]
    assert len(row) == 4  # two pairs, two metrics: on the seeds that both have

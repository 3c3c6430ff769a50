"""Severity curves and mean drops: what is one curve, and figures that follow from the per-image scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from orchestrator.plan.cells import Cell, Stage
from orchestrator.store.tables import SCORES_FILE
from reports.figures import severity_figure
from reports.loading import load_results
from reports.page import build_report
from reports.results import Results
from reports.severity import ALL, curves_of, drop_frame, drop_table, severity_frame
from reports.statistics import Resampler
from tests.reports.synthetic import GENERATORS, Store, build_store

CORRUPTIONS = (
    {"kind": "jpeg", "sweep": [40, 90]},
    "mirror",
    {"kind": "gaussian_blur", "sweep": [2, 0.5, 1]},
    {"kind": "jpeg", "name": "whole", "chroma": 444, "sweep": [50, 90]},
    {"kind": "resize", "name": "small", "size": 64},
    "resize",
    "identity",
)
CURVES = ("jpeg (chroma 420)", "mirror", "gaussian_blur", "jpeg (chroma 444)", "resize (size 64)", "resize", "identity")
OTHER_WAY = (
    {"kind": "gamma", "sweep": [0.5, 0.8, 0.65]},
    {"kind": "resize", "sweep": [2, 1.5]},
    {"kind": "crop", "sweep": [0.5, 0.9]},
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    root = tmp_path_factory.mktemp("severity")
    return build_store(root, generators=GENERATORS[:3], methods=("adabn",), corruptions=CORRUPTIONS, images=20)


def read(store: Store) -> Results:
    return load_results(store.cells, store.records, store.artifacts, Resampler(100))


@pytest.fixture(scope="module")
def results(store: Store) -> Results:
    return read(store)


@pytest.fixture(scope="module")
def severities(results: Results) -> pd.DataFrame:
    return severity_frame(results, curves_of(results))


@pytest.fixture(scope="module")
def drops(results: Results) -> pd.DataFrame:
    return drop_frame(results, curves_of(results))


def scores(store: Store, cells: list[Cell]) -> list[pd.DataFrame]:
    return [pd.read_parquet(store.artifacts.folder(cell.id) / SCORES_FILE) for cell in cells]


def figures(tables: list[pd.DataFrame]) -> tuple[float, float]:
    """Mean AUROC and balanced accuracy, by scikit-learn."""
    return (
        float(np.mean([roc_auc_score(t["label"], t["score"]) for t in tables])),
        float(np.mean([balanced_accuracy_score(t["label"], t["score"] > 0.5) for t in tables])),
    )


def on_targets(store: Store, variant: str) -> list[pd.DataFrame]:
    cells = store.find(Stage.SCORE, adaptation="adabn", variant=variant)
    return scores(store, [cell for cell in cells if cell.tags.test == cell.tags.target])


def in_dataset(store: Store, variant: str) -> list[pd.DataFrame]:
    cells = store.find(Stage.SCORE, adaptation="source_only", variant=variant)
    return scores(store, [cell for cell in cells if cell.tags.test == cell.tags.source])


def test_a_curve_differs_in_its_severity_alone_and_goes_from_mild_to_strong(results: Results) -> None:
    curves = {curve.name: curve for curve in curves_of(results)}
    assert tuple(curves) == CURVES
    assert curves["jpeg (chroma 420)"].steps == ((90, "jpeg_90"), (40, "jpeg_40"))
    assert curves["gaussian_blur"].steps == (
        (0.5, "gaussian_blur_0.5"),
        (1, "gaussian_blur_1"),
        (2, "gaussian_blur_2"),
    )
    assert curves["jpeg (chroma 444)"].steps == ((90, "whole_90"), (50, "whole_50"))
    assert [len(curves[name].steps) for name in CURVES if not curves[name].kind.startswith(("jpeg", "gaussian"))] == [
        1
    ] * 4
    assert not curves["identity"].changes


def test_the_other_direction_than_the_presets_goes_from_mild_to_strong_too(tmp_path: Path) -> None:
    store = build_store(tmp_path, generators=GENERATORS[:2], methods=(), corruptions=OTHER_WAY, images=4)
    steps = {curve.kind: [value for value, _ in curve.steps] for curve in curves_of(read(store))}
    assert steps == {"gamma": [0.8, 0.65, 0.5], "resize": [1.5, 2], "crop": [0.9, 0.5]}


def test_points_are_means_over_the_tests_with_the_clean_one_first(store: Store, severities: pd.DataFrame) -> None:
    line = severities[
        (severities["adaptation"] == "adabn") & (severities["corruption"] == "gaussian_blur")
        & (severities["scope"] == "across")
    ]  # fmt: skip
    assert list(line["variant"]) == ["", "gaussian_blur_0.5", "gaussian_blur_1", "gaussian_blur_2"]
    assert list(line["step"]) == [0, 1, 2, 3]
    assert list(line["tests"]) == [6] * 4
    for _, row in line.iterrows():
        found = figures(on_targets(store, row["variant"]))
        assert (row["auroc"], row["balanced_accuracy"]) == pytest.approx(found)
        assert row["auroc_low"] <= row["auroc"] <= row["auroc_high"]
        assert row["balanced_accuracy_low"] <= row["balanced_accuracy"] <= row["balanced_accuracy_high"]


def test_in_dataset_is_the_generator_that_a_detector_was_trained_on(store: Store, severities: pd.DataFrame) -> None:
    points = severities[(severities["scope"] == "in_dataset") & (severities["variant"] == "whole_50")]
    by_method = points.set_index("adaptation")
    found = figures(in_dataset(store, "whole_50"))
    assert tuple(by_method.loc["source_only", ["auroc", "balanced_accuracy"]]) == pytest.approx(found)
    ledger = [
        store.records[cell.id].metrics
        for cell in store.find(Stage.SCORE, adaptation="adabn", variant="whole_50")
        if cell.tags.test == cell.tags.source
    ]
    assert by_method.loc["adabn", "auroc"] == pytest.approx(np.mean([metrics["auroc"] for metrics in ledger]))
    assert by_method.loc["adabn", ["tests", "tests_planned"]].tolist() == [6, 6]
    assert np.isnan(by_method.loc["adabn", "auroc_low"])


def test_only_what_has_two_severities_has_a_curve(severities: pd.DataFrame) -> None:
    assert set(severities["corruption"]) == {"jpeg (chroma 420)", "gaussian_blur", "jpeg (chroma 444)"}


def test_mean_drop_is_clean_minus_the_mean_over_severities(store: Store, drops: pd.DataFrame) -> None:
    ours = drops[(drops["adaptation"] == "adabn") & (drops["scope"] == "across")].set_index("corruption")
    variants = ("gaussian_blur_0.5", "gaussian_blur_1", "gaussian_blur_2")
    corrupted = np.mean([figures(on_targets(store, variant)) for variant in variants], axis=0)
    expected = np.array(figures(on_targets(store, ""))) - corrupted
    assert ours.loc["gaussian_blur", ["drop_auroc", "drop_balanced_accuracy"]].tolist() == pytest.approx(expected)
    assert ours.loc["gaussian_blur", "severities"] == 3


def test_the_control_drops_by_nothing_and_is_left_out_of_the_mean(drops: pd.DataFrame) -> None:
    ours = drops[(drops["adaptation"] == "adabn") & (drops["scope"] == "across")].set_index("corruption")
    assert ours.loc["identity", ["drop_auroc", "drop_auroc_low", "drop_auroc_high"]].tolist() == [0, 0, 0]
    changing = [name for name in CURVES if name != "identity"]
    assert ours.loc[ALL, "drop_auroc"] == pytest.approx(ours.loc[changing, "drop_auroc"].mean())


def test_a_drop_is_paired_with_its_clean_score(drops: pd.DataFrame) -> None:
    """The same scores drawn twice on their own would differ."""
    ours = drops[(drops["corruption"] == "identity") & (drops["scope"] == "across")]
    assert (ours["clean_auroc_high"] - ours["clean_auroc_low"] > 0.01).all()
    assert (ours["drop_auroc_high"] == 0).all()


def test_a_line_of_an_unfinished_grid_compares_the_same_tests(store: Store) -> None:
    records = dict(store.records)
    (hole,) = [
        cell
        for cell in store.find(Stage.SCORE, adaptation="source_only", variant="jpeg_40", source="tconv")
        if cell.tags.test == "nearest"
    ]
    del records[hole.id]
    results = load_results(store.cells, records, store.artifacts, Resampler(20))
    found = severity_frame(results, curves_of(results))
    line = found[(found["adaptation"] == "source_only") & (found["scope"] == "across")]
    by_curve = line.groupby("corruption")["tests"].agg(list)
    assert by_curve["jpeg (chroma 420)"] == [5, 5, 5]
    assert by_curve["gaussian_blur"] == [6, 6, 6, 6]
    clean = line[line["step"] == 0].set_index("corruption")["auroc"]
    assert clean["jpeg (chroma 420)"] != clean["gaussian_blur"]


def test_nothing_done_gives_holes_and_no_failure(store: Store) -> None:
    results = load_results(store.cells, {}, store.artifacts, Resampler(20))
    curves = curves_of(results)
    assert severity_frame(results, curves)["auroc"].isna().all()
    drops = drop_frame(results, curves)
    assert ALL not in set(drops["corruption"])
    assert {figure.text for _, row in drop_table(drops, "residual_cnn").rows for figure in row[1:]} == {"–"}


def test_table_has_a_row_a_corruption_and_method_with_signs(drops: pd.DataFrame) -> None:
    table = drop_table(drops, "residual_cnn")
    assert [names for names, _ in table.rows[:2]] == [(CURVES[0], "source_only"), (CURVES[0], "adabn")]
    assert len(table.rows) == 2 * (len(CURVES) + 1)
    assert table.rows[1][1][1].text.startswith("\u2212")


def test_figure_names_severities_units_and_methods(severities: pd.DataFrame) -> None:
    svg = severity_figure(severities, "residual_cnn", ("source_only", "adabn"))
    for words in ("clean", "quality, 1-100", "sigma, pixels", "AUROC across generators", "gaussian_blur", "adabn"):
        assert words in svg


def test_page_shows_the_curves_and_the_tables_lie_beside_it(store: Store, tmp_path: Path) -> None:
    paths = build_report(store.study, store.cells, store.records, store.artifacts, tmp_path)
    assert (tmp_path / "figures" / "severity_residual_cnn.svg") in paths.figures
    assert set(pd.read_csv(tmp_path / "corruptions.csv")["corruption"]) == {*CURVES, ALL}
    assert len(pd.read_csv(tmp_path / "severity.csv")) == 2 * 2 * (3 + 4 + 3)
    assert "mean over a corruption's severities" in paths.html.read_text("utf-8").replace("&#39;", "'")

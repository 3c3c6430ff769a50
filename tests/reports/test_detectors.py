"""The table of the detectors themselves: its figures, which leads, how large and fast they are, and the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from orchestrator.plan.cells import Cell, Digest, Reading, Stage, Tags
from orchestrator.store.records import Status
from orchestrator.store.tables import SCORES_FILE, read_scores
from reports.detectors import detector_frame
from reports.detectors_part import DetectorsPart, detector_table, detectors_part
from reports.frames import summary_frame
from reports.loading import load_results
from reports.statistics import Resampler
from tests.reports.synthetic import Store, scores_of
from tests.reports.test_audit import add_audit
from tests.reports.test_page import Outline, build, words

SHOWN = ("tconv", "nearest", "latent8")
STRONG, WEAK = "strong", "weak"


@pytest.fixture
def store(make_store: Callable[..., Store]) -> Store:
    """A weak detector and a strong one, of three seeds."""
    shape = {"methods": (), "corruptions": (), "images": 40, "looked_at": False}
    store = make_store(generators=SHOWN, detectors=(WEAK, STRONG), seeds=(0, 1, 2), **shape)
    for detector, margin in ((WEAK, 1.0), (STRONG, 2.5)):
        judge(store, detector, margin)
    return store


def judge(store: Store, detector: str, margin: float, salt: int = 0) -> None:
    """Give a detector scores that lie so far apart across generators, and twice as far in-dataset."""
    for cell in store.find(Stage.SCORE, detector=detector):
        tags = cell.tags
        apart = margin * (2 if tags.test == tags.source else 1)
        noise = sum(map(ord, tags.source + tags.test)) + 1000 * tags.seed + salt
        store.write(cell, scores_of(tags.test, apart, noise, store.images))


def with_vendor(store: Store, margin: float) -> Store:
    """The store, and in it the scores of a vendor: one table, whatever the seeds."""
    place = {"source": "outside", "target": "outside", "selection": "outside"}
    tags = Tags(detector="vendor", adaptation="source_only", seed=0, **place)
    table = store.add(Cell(stage=Stage.TRAIN, method="scores", params={}, tags=tags), seconds=0.1)
    for test in SHOWN:
        params = {"test": test, "corruption": None}
        cell = Cell(
            stage=Stage.SCORE, method="outside", params=params, tags=replace(tags, test=test), needs=(table.id,)
        )
        store.write(store.add(cell, files=(SCORES_FILE,), seconds=0.1, images=80), scores_of(test, margin, 7, 40))
    return store


def part_of(store: Store) -> DetectorsPart:
    results = load_results(store.cells, store.records, store.artifacts, Resampler(300))
    return detectors_part(results, summary_frame(results), {})


def frame_of(store: Store) -> pd.DataFrame:
    results = load_results(store.cells, store.records, store.artifacts, Resampler(300))
    return detector_frame(results, summary_frame(results)).set_index("detector")


def by_pair(store: Store, detector: str, metric: Callable[[pd.Series, pd.Series], float]) -> pd.DataFrame:
    """A row a train generator and a column a test generator, means over seeds, from the files of scores."""
    rows = []
    for cell in store.find(Stage.SCORE, detector=detector):
        table = read_scores(store.artifacts.folder(cell.id) / SCORES_FILE)
        rows.append((cell.tags.source, cell.tags.test, metric(table["label"], table["score"])))
    return pd.DataFrame(rows, columns=["source", "test", "value"]).pivot_table("value", "source", "test")


def right(labels: pd.Series, scores: pd.Series) -> float:
    return accuracy_score(labels, scores > 0.5)


@pytest.mark.parametrize(("metric", "scorer"), [("accuracy", right), ("auroc", roc_auc_score)])
def test_figures_are_means_of_scikit_learns(store: Store, metric: str, scorer) -> None:
    frame = frame_of(store)
    for detector in (WEAK, STRONG):
        matrix = by_pair(store, detector, scorer).loc[list(SHOWN), list(SHOWN)]
        values, own = matrix.to_numpy(), np.eye(3, dtype=bool)
        row = frame.loc[detector]
        assert row[f"in_dataset_{metric}"] == pytest.approx(values[own].mean())
        assert row[metric] == pytest.approx(values[~own].mean())
        for name in (f"in_dataset_{metric}", metric):
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]
    assert frame["seeds"].tolist() == [3, 3]


def test_the_worst_pair_is_the_least_accurate_off_the_diagonal(store: Store) -> None:
    row, matrix = frame_of(store).loc[WEAK], by_pair(store, WEAK, right)
    others = {(s, t): matrix.loc[s, t] for s in SHOWN for t in SHOWN if s != t}
    assert row["worst"] == pytest.approx(min(others.values()))
    assert others[row["worst_source"], row["worst_target"]] == pytest.approx(row["worst"])


def test_the_first_is_best_where_its_lead_is_clear(store: Store) -> None:
    frame, part = frame_of(store), part_of(store)
    assert frame.index.tolist() == [STRONG, WEAK]
    row = frame.loc[WEAK]
    assert row["over_first"] == pytest.approx(row["accuracy"] - frame.loc[STRONG, "accuracy"])
    assert row["over_first_high"] < 0
    assert row["clear"] is True
    assert np.isnan(frame.loc[STRONG, "over_first"])
    assert part.sentence.startswith("strong is best across generators")
    assert "Intervals hold over 3 seeds and over test images." in part.covered


def test_none_is_best_within_the_interval(store: Store) -> None:
    judge(store, WEAK, 2.5, salt=50)
    frame, part = frame_of(store), part_of(store)
    second = frame.iloc[1]
    assert second["over_first_low"] < 0 < second["over_first_high"]
    assert second["clear"] is False
    first, other = frame.index
    expected = f"No detector is clearly best across generators: {first} has the largest mean, and is not shown to lead"
    assert part.sentence == f"{expected} {other}."
    assert [figures[4].clear for _, figures in part.table.rows] == [True, False]


def test_a_lead_is_of_the_seeds_and_pairs_that_both_have(store: Store) -> None:
    store.drop(store.find(Stage.SCORE, detector=WEAK, source="tconv"))
    store.drop(store.find(Stage.SCORE, detector=STRONG, seed=2))
    row, part = frame_of(store).loc[WEAK], part_of(store)
    assert (row["pairs"], row["shared_pairs"], row["pairs_planned"]) == (4, 4, 6)
    kept = [c for c in store.cells if c.tags.source != "tconv" and c.tags.seed != 2]
    ours, theirs = (by_pair(replace(store, cells=kept), name, right) for name in (WEAK, STRONG))
    gaps = (ours - theirs).to_numpy()
    assert row["over_first"] == pytest.approx(
        np.mean([gaps[s, t] for s, t in np.ndindex(gaps.shape) if not own(ours, s, t)])
    )
    _, figures = part.table.rows[1]
    assert figures[2].interval.endswith(", 4 of 6 pairs")
    assert figures[4].interval.endswith(", 4 of 6 pairs")


def own(matrix: pd.DataFrame, row: int, column: int) -> bool:
    return matrix.index[row] == matrix.columns[column]


def test_a_detector_is_in_dataset_on_all_generators_of_its_group(store: Store) -> None:
    """The detectors of tconv are trained on nearest as well."""
    read = Reading(
        role="source", fakes={"tconv": 9, "nearest": 9}, reals={}, splits=("train",), digest=Digest("f" * 20)
    )
    groups = {cell.id for cell in store.find(Stage.TRAIN, source="tconv")}
    store.cells[:] = [replace(cell, reads=(read,)) if cell.id in groups else cell for cell in store.cells]
    row, matrix = frame_of(store).loc[STRONG], by_pair(store, STRONG, right)
    inside = [("tconv", "tconv"), ("tconv", "nearest"), ("nearest", "nearest"), ("latent8", "latent8")]
    assert row["in_dataset_accuracy"] == pytest.approx(np.mean([matrix.loc[pair] for pair in inside]))
    assert row["pairs_planned"] == 5


def test_parameters_and_speed_are_of_the_records(store: Store) -> None:
    metrics = {"parameters": 11_177_544.0, "trained_parameters": 1026.0, "source_val_auroc": 0.9}
    trained = store.find(Stage.TRAIN, detector=STRONG)
    for cell in trained:
        store.records[cell.id] = replace(store.records[cell.id], metrics=metrics, images=400, seconds=2.0)
    failed = store.records[trained[0].id]
    store.records[trained[0].id] = replace(failed, status=Status.FAILED, metrics={}, images=0, seconds=500.0)
    scored = store.find(Stage.SCORE, detector=STRONG)
    for place, cell in enumerate(scored):  # the first has read the reals for the others; the last had nothing to read
        images = {0: 80, len(scored) - 1: 0}.get(place, 40)
        store.records[cell.id] = replace(store.records[cell.id], images=images, seconds=0.5)
    frame = frame_of(store)
    row = frame.loc[STRONG]
    assert (row["parameters"], row["trained_parameters"]) == (11_177_544, 1026)
    assert row["train_images_per_second"] == pytest.approx(200)
    assert row["score_images_per_second"] == pytest.approx((80 + 40 * (len(scored) - 2)) / (0.5 * len(scored)))
    assert frame.loc[WEAK, ["parameters", "trained_parameters"]].isna().all()  # it ran before they were counted
    shown = {names[0]: figures for names, figures in detector_table(frame.reset_index()).rows}
    assert [(f.text, f.interval) for f in (shown[STRONG][6], shown[WEAK][6])] == [
        ("11.2\u202fM", "1.03\u202fk trained"),
        ("–", ""),
    ]
    assert (shown[STRONG][7].text, shown[STRONG][7].interval) == ("200", "80 in scoring")


def test_how_well_families_are_told_apart_is_the_mean_over_its_models(store: Store, tmp_path: Path) -> None:
    shares = np.linspace(0.9, 0.98, 9)
    for cell, share in zip(store.find(Stage.TRAIN, detector=STRONG), shares, strict=True):
        store.records[cell.id] = replace(store.records[cell.id], metrics={"source_val_class_accuracy": share})
    frame = frame_of(store)
    assert frame.loc[STRONG, "class_accuracy"] == pytest.approx(0.94)
    assert np.isnan(frame.loc[WEAK, "class_accuracy"])
    paths = build(store, tmp_path)
    assert "strong tells its families apart on 94.0 % of held-out source images." in words(paths.html)
    assert "weak tells" not in words(paths.html)
    kept = pd.read_csv(tmp_path / "detectors.csv").set_index("detector")
    assert kept.loc[STRONG, "class_accuracy"] == pytest.approx(0.94)


@pytest.mark.parametrize(
    ("count", "trained", "text"),
    [
        (0, 0, ("0", "")),
        (130, 130, ("130", "all trained")),
        (999_900, 0, ("1\u202fM", "0 trained")),
        (304_293_888, 2050, ("304\u202fM", "2.05\u202fk trained")),
        (1_844_000_000, 999, ("1.84\u202fB", "999 trained")),
    ],
)
def test_parameters_are_told_in_three_digits(store: Store, count: int, trained: int, text: tuple[str, str]) -> None:
    for cell in store.find(Stage.TRAIN, detector=STRONG):
        counts = {"parameters": float(count), "trained_parameters": float(trained)}
        store.records[cell.id] = replace(store.records[cell.id], metrics=counts)
    found = part_of(store).table.rows[0][1][6]
    assert (found.text, found.interval) == text


def test_of_scores_from_outside_neither_size_nor_speed_is_known_and_all_tests_are_across(store: Store) -> None:
    row = frame_of(with_vendor(store, 2.0)).loc["vendor"]
    unknown = ["parameters", "trained_parameters", "train_images_per_second", "score_images_per_second"]
    assert row[[*unknown, "in_dataset_accuracy", "in_dataset_auroc"]].isna().all()
    assert (row["pairs"], row["worst_source"], row["seeds"]) == (3, "outside", 1)
    assert row["accuracy"] == pytest.approx(by_pair(store, "vendor", right).to_numpy().mean())


def test_scores_from_outside_stand_against_every_pair_and_seed(store: Store) -> None:
    frame = frame_of(with_vendor(store, 1.0))
    assert frame.index[0] == STRONG
    theirs, ours = by_pair(store, STRONG, right), by_pair(store, "vendor", right).loc["outside"]
    gaps = [ours[t] - theirs.loc[s, t] for s in SHOWN for t in SHOWN if s != t]
    row = frame.loc["vendor"]
    assert row["over_first"] == pytest.approx(np.mean(gaps))
    assert row["shared_pairs"] == 6


def test_scores_from_outside_are_not_called_best(store: Store) -> None:
    part = part_of(with_vendor(store, 6.0))
    assert part.frame["detector"].tolist() == ["vendor", STRONG, WEAK]
    assert part.frame["clear"].tolist()[1:] == [True, True]
    assert part.sentence.startswith("vendor leads, but what it was trained on is not known")


def test_a_detector_that_came_as_it_is_is_not_called_best(store: Store) -> None:
    counts = {"parameters": 130.0, "trained_parameters": 0.0, "epoch": 0.0}
    for cell in store.find(Stage.TRAIN, detector=STRONG):
        store.records[cell.id] = replace(store.records[cell.id], metrics=counts)
    part = part_of(store)
    assert part.frame["clear"].tolist()[1:] == [True]
    assert part.sentence.startswith("strong leads, but what it was trained on is not known")
    assert part.table.rows[0][1][6].interval == "as it came"


def test_detectors_of_other_sources_are_not_compared(store: Store) -> None:
    elsewhere = {"tconv": "other_a", "nearest": "other_b", "latent8": "other_c"}
    store.cells[:] = [
        replace(cell, tags=replace(cell.tags, source=elsewhere[cell.tags.source], target=elsewhere[cell.tags.target]))
        if cell.tags.detector == WEAK
        else cell
        for cell in store.cells
    ]
    frame, part = frame_of(store), part_of(store)
    row = frame.loc[frame.index[1]]
    assert row["shared_pairs"] == 0
    assert np.isnan(row["over_first"])
    assert part.sentence.startswith("No detector is clearly best")


def test_the_page_begins_with_the_table(store: Store, tmp_path: Path) -> None:
    add_audit(store)
    paths = build(store, tmp_path)
    text, said = paths.html.read_text("utf-8"), words(paths.html)
    section = text[text.index('<section id="detectors">') : text.index('<section id="d1">')]
    assert Outline(text).open == []
    assert "#detectors" in Outline(text).references
    assert re.findall(r'<th scope="row">(.*?)</th>', section) == [STRONG, WEAK]
    assert "strong is best across generators" in said
    assert "What trivial facts of the files reach: AUROC" in section
    assert "the mean over 2 of 3 test generators; most on tconv" in section
    assert '<a href="#audit-shortcut">' in section
    assert text.count("<b>strong</b> is right on") == section.count("<b>strong</b> is right on") == 1
    assert tmp_path / "figures" / "detectors.svg" in paths.figures
    frame = pd.read_csv(tmp_path / "detectors.csv").set_index("detector")
    assert f">{frame.loc[WEAK, 'accuracy']:.2f}<" in section


def test_of_one_detector_there_is_the_table_beside_the_page_alone(shared_store: Store, tmp_path: Path) -> None:
    text = build(shared_store, tmp_path).html.read_text("utf-8")
    assert 'id="detectors"' not in text
    assert "<b>residual_cnn</b> is right on" in text
    (row,) = pd.read_csv(tmp_path / "detectors.csv").to_dict("records")
    assert (row["detector"], row["train_images_per_second"]) == ("residual_cnn", 400)
    assert not (tmp_path / "figures" / "detectors.svg").exists()


def test_the_page_of_detectors_of_which_nothing_is_done(store: Store, tmp_path: Path) -> None:
    store.drop(store.cells)
    said = words(build(store, tmp_path).html)
    assert "best across generators" not in said
    assert "What trivial facts of the files reach" not in said
    assert len(pd.read_csv(tmp_path / "detectors.csv")) == 2

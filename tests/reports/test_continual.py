"""Sequences of generators in reports: figures by loops over R, R by the per-image scores, and what a reader sees."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from orchestrator.plan.cells import Cell, Stage
from orchestrator.store.tables import SCORES_FILE
from reports.continual import (
    FIGURES,
    OVER_NAIVE,
    Course,
    average,
    backward_transfer,
    course_frame,
    courses_of,
    forgetting,
    matrix_entries,
    newly_learnt,
    unseen,
)
from reports.continual_figures import sequence_figure
from reports.continual_tables import continual_part
from reports.loading import load_results
from reports.page import build_report
from reports.results import Results
from reports.statistics import Resampler, over_seeds
from tests.reports.sequenced import add_sequence
from tests.reports.synthetic import GENERATORS, Store, build_store
from tests.reports.test_page import Outline, files, words

LEARNT = GENERATORS[:3]
SEQUENCE = "-".join(LEARNT)
SEEDS = (0, 1, 2)


def make(root: Path, seeds: tuple[int, ...] = SEEDS, generators: tuple[str, ...] = LEARNT) -> Store:
    return build_store(
        root, generators=generators, methods=("coral",), seeds=seeds, corruptions=(), images=40, looked_at=False
    )


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three seeds of three methods along three generators: read it, don't change it."""
    store = make(tmp_path_factory.mktemp("continual"))
    add_sequence(store, LEARNT)
    return store


def read(store: Store) -> Results:
    return load_results(store.cells, store.records, store.artifacts, Resampler(200))


@pytest.fixture(scope="module")
def results(store: Store) -> Results:
    return read(store)


@pytest.fixture(scope="module")
def courses(results: Results) -> dict[str, Course]:
    return {course.adaptation: course for course in courses_of(results)}


@pytest.fixture
def one_seed(tmp_path: Path) -> Store:
    """The same with one seed, to change."""
    store = make(tmp_path / "results", (0,))
    add_sequence(store, LEARNT)
    return store


def accuracy_of(store: Store, cell: Cell) -> float:
    scores = pd.read_parquet(store.artifacts.folder(cell.id) / SCORES_FILE)
    return float(((scores["score"] > 0.5) == (scores["label"] == 1)).mean())


def r_of(store: Store, method: str, seed: int) -> list[list[float]]:
    """R by the tags of the cells and by the scores of the images."""
    rows = []
    for step, learnt in enumerate(LEARNT):
        of_step = {"adaptation": method, "target": learnt, "sequence": SEQUENCE}
        of_source = {"adaptation": "source_only", "source": LEARNT[0], "sequence": ""}
        cells = store.find(Stage.SCORE, seed=seed, **(of_step if step else of_source))
        by_test = {cell.tags.test: accuracy_of(store, cell) for cell in cells}
        rows.append([by_test[test] for test in LEARNT])
    return rows


def by_loops(r: list[list[float]]) -> dict[str, float]:
    """The formulas, one entry after the other; T is the last step."""
    last = len(r) - 1
    total = lost = fallen = learnt = ahead = 0.0
    for i in range(last + 1):
        total += r[last][i]
    for i in range(last):
        lost += r[last][i] - r[i][i]
        best = -1.0
        for t in range(last):
            if r[t][i] > best:
                best = r[t][i]
        fallen += best - r[last][i]
    for i in range(1, last + 1):
        learnt += r[i][i]
        ahead += r[i - 1][i]
    return {
        "average": total / (last + 1),
        "newly_learnt": learnt / last,
        "backward_transfer": lost / last,
        "forgetting": fallen / last,
        "unseen": ahead / last,
    }


# The figures of R


@pytest.mark.parametrize("generators", [2, 3, 6])
def test_figures_are_the_formulas(generators: int) -> None:
    r = np.random.default_rng(generators).uniform(size=(generators, generators))
    found = {name: float(figure(r)) for name, figure in FIGURES.items()}
    assert found == pytest.approx(by_loops(r.tolist()))


def test_figures_of_an_example_by_hand() -> None:
    r = np.array([[0.9, 0.5, 0.6], [0.7, 1.0, 0.4], [0.8, 0.6, 0.9]])
    assert average(r) == pytest.approx((0.8 + 0.6 + 0.9) / 3)
    assert newly_learnt(r) == pytest.approx((1.0 + 0.9) / 2)
    assert backward_transfer(r) == pytest.approx((-0.1 - 0.4) / 2)
    assert forgetting(r) == pytest.approx((0.1 + 0.4) / 2)
    assert unseen(r) == pytest.approx((0.5 + 0.4) / 2)


def test_a_generator_is_forgotten_from_its_best_also_if_that_was_before_it_was_learnt() -> None:
    r = np.array([[0.9, 0.8, 0.5], [0.9, 0.6, 0.5], [0.9, 0.6, 0.9]])
    assert backward_transfer(r) == pytest.approx(0)
    assert forgetting(r) == pytest.approx(0.1)


def test_figures_of_resamples_are_those_of_each_resample() -> None:
    draws = np.random.default_rng(0).uniform(size=(4, 4, 5))
    for name, figure in FIGURES.items():
        found = figure(draws)
        assert found.shape == (5,)
        assert found.tolist() == pytest.approx([by_loops(draws[:, :, k].tolist())[name] for k in range(5)])


# R


def test_r_is_the_accuracy_on_every_generator_after_every_step(store: Store, courses: dict[str, Course]) -> None:
    for method, course in courses.items():
        assert course.generators == LEARNT
        for seed in SEEDS:
            np.testing.assert_allclose(course.whole["accuracy"][seed][0], r_of(store, method, seed))
        mean = np.mean([r_of(store, method, seed) for seed in SEEDS], axis=0)
        for step in range(3):
            for place in range(3):
                entry, seeds = course.entry(step, place, "accuracy")
                assert entry is not None
                assert (entry.value, seeds) == (pytest.approx(mean[step, place]), 3)
                assert entry.low <= entry.value <= entry.high
                assert np.isfinite(entry.low)


def test_figures_are_means_over_seeds_of_each_seeds_own(store: Store, courses: dict[str, Course]) -> None:
    rows = course_frame(list(courses.values()))
    for _, row in rows[rows["metric"] == "accuracy"].iterrows():
        each = [by_loops(r_of(store, row["adaptation"], seed)) for seed in SEEDS]
        for name in FIGURES:
            assert row[name] == pytest.approx(np.mean([figures[name] for figures in each]))
            assert row[f"{name}_low"] < row[f"{name}_high"] or row[name] == 1
        assert row["average_low"] <= row["average"] <= row["average_high"]
        assert (row["seeds"], row["seeds_planned"]) == (3, 3)


def test_auroc_has_an_r_of_its_own(courses: dict[str, Course]) -> None:
    accuracy, auroc = (courses["joint"].whole[metric][0][0] for metric in ("accuracy", "auroc"))
    assert not np.allclose(accuracy, auroc)
    assert (auroc > accuracy - 0.05).all()


def test_over_naive_is_paired_seed_by_seed_and_image_by_image(
    store: Store, results: Results, courses: dict[str, Course]
) -> None:
    row = course_frame([courses["naive"], courses["lwf"]]).iloc[2]
    gains = [
        by_loops(r_of(store, "lwf", seed))["average"] - by_loops(r_of(store, "naive", seed))["average"]
        for seed in SEEDS
    ]
    assert row[OVER_NAIVE] == pytest.approx(np.mean(gains))
    paired = {
        seed: courses["lwf"].whole["accuracy"][seed][1][-1].mean(axis=0)
        - courses["naive"].whole["accuracy"][seed][1][-1].mean(axis=0)
        for seed in SEEDS
    }
    weights = results.resampler.counts([f"seed {seed}" for seed in SEEDS]) / 3
    draws = sum(weights[k] * paired[seed] for k, seed in enumerate(SEEDS))
    ends = np.quantile(np.asarray(draws), (0.025, 0.975))
    assert (row[f"{OVER_NAIVE}_low"], row[f"{OVER_NAIVE}_high"]) == pytest.approx(tuple(ends))


def test_a_method_that_answers_as_naive_does_gains_exactly_nothing(one_seed: Store) -> None:
    for cell in one_seed.find(Stage.SCORE, adaptation="lwf"):
        (twin,) = one_seed.find(Stage.SCORE, adaptation="naive", target=cell.tags.target, test=cell.tags.test)
        ours, theirs = (one_seed.artifacts.folder(one.id) / SCORES_FILE for one in (cell, twin))
        ours.write_bytes(theirs.read_bytes())
    rows = course_frame(courses_of(read(one_seed))).set_index(["adaptation", "metric"])
    assert rows.loc[("lwf", "accuracy"), [OVER_NAIVE, f"{OVER_NAIVE}_low", f"{OVER_NAIVE}_high"]].tolist() == [0, 0, 0]
    assert rows.loc[("naive", "accuracy"), [OVER_NAIVE]].isna().all()


def test_the_bounds_stand_around_the_other_methods_and_are_named(courses: dict[str, Course], results: Results) -> None:
    assert list(courses) == ["naive", "lwf", "joint"]
    (part,) = continual_part(results).parts
    assert [names[0] for names, _ in part.table.rows] == ["naive (lower bound)", "lwf", "joint (upper bound)"]
    assert [matrix.title for matrix in part.matrices] == ["naive (lower bound)", "lwf", "joint (upper bound)"]
    averages = [course.figure(average, "accuracy") for course in courses.values()]
    values = [found.value for found in averages if found is not None]
    assert values == sorted(values)


# Holes


def test_a_seed_that_is_not_done_is_in_no_figure_but_in_the_entries_that_it_has(tmp_path: Path) -> None:
    store = make(tmp_path / "results")
    add_sequence(store, LEARNT, ["naive"])
    store.drop(store.find(Stage.SCORE, adaptation="naive", seed=1, target=LEARNT[2], test=LEARNT[0]))
    course = courses_of(read(store))[0]
    assert course.seeds == (0, 2)
    found = course.figure(average, "accuracy")
    assert found is not None
    assert found.value == pytest.approx(np.mean([by_loops(r_of(store, "naive", seed))["average"] for seed in (0, 2)]))
    assert [course.entry(2, place, "accuracy")[1] for place in range(3)] == [2, 3, 3]


def test_what_is_missing_is_marked_by_the_worst_that_befell_it(one_seed: Store) -> None:
    (failed,) = one_seed.find(Stage.ADAPT, adaptation="lwf", target=LEARNT[2], sequence=SEQUENCE)
    one_seed.fail(failed)
    one_seed.drop(one_seed.find(Stage.SCORE, adaptation="naive", target=LEARNT[2], sequence=SEQUENCE))
    naive, lwf, joint = continual_part(read(one_seed)).parts[0].matrices
    assert [[cell.state for cell in row] for _, row in lwf.rows] == [["value"] * 3] * 2 + [["blocked"] * 3]
    assert "adapt/" in lwf.rows[2][1][0].title
    assert [[cell.text for cell in row] for _, row in naive.rows][2] == ["·"] * 3
    assert all(cell.state == "value" for _, row in joint.rows for cell in row)
    rows = course_frame(courses_of(read(one_seed))).set_index(["adaptation", "metric"])
    assert rows.loc[("lwf", "accuracy"), list(FIGURES)].isna().all()
    assert rows.loc[("lwf", "accuracy"), "seeds"] == 0
    assert rows.loc[("joint", "accuracy"), OVER_NAIVE] is not None
    assert np.isnan(rows.loc[("joint", "accuracy"), OVER_NAIVE])


def test_nothing_done_gives_holes_and_no_figure(store: Store) -> None:
    part = continual_part(load_results(store.cells, {}, store.artifacts, Resampler(20)))
    assert [found.drawing for found in part.parts] == [""]
    assert not part.figures
    assert part.frames["continual_matrices"]["value"].isna().all()
    assert {cell.state for table in part.parts[0].matrices for _, row in table.rows for cell in row} == {"pending"}


def test_without_per_image_scores_the_ledger_has_accuracies_and_no_intervals(one_seed: Store) -> None:
    for cell in one_seed.find(Stage.SCORE, sequence=SEQUENCE):
        (one_seed.artifacts.folder(cell.id) / SCORES_FILE).unlink()
    rows = course_frame(courses_of(read(one_seed))).set_index(["adaptation", "metric"])
    results = read(one_seed)
    (end,) = one_seed.find(Stage.ADAPT, adaptation="joint", target=LEARNT[2], sequence=SEQUENCE)
    known = [
        results.records[cell.id].metrics["accuracy"] for cell in one_seed.find(Stage.SCORE) if end.id in cell.needs
    ]
    assert rows.loc[("joint", "accuracy"), "average"] == pytest.approx(np.mean(known))
    assert np.isnan(rows.loc[("joint", "accuracy"), "average_low"])


# Sequences beside each other


def test_sequences_that_begin_alike_share_steps_and_each_has_all_of_its_r(tmp_path: Path) -> None:
    store = make(tmp_path / "results", (0,), GENERATORS)
    other = (*LEARNT[:2], GENERATORS[3])
    add_sequence(store, LEARNT, ["naive"])
    alone = len(store.find(Stage.ADAPT, adaptation="naive"))
    add_sequence(store, other, ["naive"])
    assert len(store.find(Stage.ADAPT, adaptation="naive")) == alone + 1
    first, second = courses_of(read(store))
    assert (first.generators, second.generators) == (LEARNT, other)
    assert (first.seeds, second.seeds) == ((0,), (0,))
    one, two = first.whole["accuracy"][0][0], second.whole["accuracy"][0][0]
    assert np.array_equal(one[:2, :2], two[:2, :2])
    assert not np.array_equal(one[2], two[2])


def test_detectors_and_sequences_are_apart(tmp_path: Path) -> None:
    root = tmp_path / "results"
    detectors = ("residual_cnn", "resnet18")
    store = build_store(
        root, generators=LEARNT, methods=(), detectors=detectors, corruptions=(), images=10, looked_at=False
    )
    for detector in detectors:
        add_sequence(store, LEARNT, ["naive", "joint"], detector=detector)
        add_sequence(store, LEARNT[::-1], ["naive"], name="back", detector=detector)
    part = continual_part(read(store))
    assert [(found.detector, found.name) for found in part.parts] == [
        (detector, name) for detector in detectors for name in (SEQUENCE, "back")
    ]
    assert [len(found.table.rows) for found in part.parts] == [2, 1, 2, 1]
    assert set(part.figures) == {f"sequence_{d}_{name}" for d in detectors for name in (SEQUENCE, "back")}
    assert len(part.frames["continual"]) == 6 * 2
    assert len(part.frames["continual_matrices"]) == 6 * 2 * 9


def test_other_recipes_make_bounds_bound_nothing(one_seed: Store, results: Results) -> None:
    assert "different recipes" not in continual_part(results).parts[0].covered
    add_sequence(one_seed, LEARNT, ["replay"], epochs=9)
    assert "different recipes" in continual_part(read(one_seed)).parts[0].covered


# The page


def test_the_grid_does_not_change_for_a_sequence(one_seed: Store, tmp_path: Path) -> None:
    grid = make(tmp_path / "grid", (0,))
    paths = [
        build_report(store.study, store.cells, store.records, store.artifacts, tmp_path / name)
        for name, store in (("with", one_seed), ("without", grid))
    ]
    for table in ("summary.csv", "gains.csv", "comparison.csv", "matrix_residual_cnn_coral_accuracy.csv"):
        one, two = (pd.read_csv(found.html.with_name(table)) for found in paths)
        pd.testing.assert_frame_equal(*(frame.drop(columns="plan", errors="ignore") for frame in (one, two)))
    assert "Generator after generator" in words(paths[0].html)
    assert "Generator after generator" not in words(paths[1].html)
    assert not [path for path in paths[1].files() if "continual" in path.name]


def test_the_page_tells_the_figures_and_that_labels_were_read(one_seed: Store, tmp_path: Path) -> None:
    known = r_of(one_seed, "joint", 0)
    paths = build_report(one_seed.study, one_seed.cells, one_seed.records, one_seed.artifacts, tmp_path / "report")
    outline, said = Outline(paths.html.read_text("utf-8")), words(paths.html)
    assert outline.open == []
    assert len(set(outline.ids)) == len(outline.ids)
    assert {"continual", "continual-1"} <= set(outline.ids)
    assert "Every method here trains on labelled images" in said
    assert " → ".join(LEARNT) in said
    assert f"joint (upper bound) 1 of 1 {by_loops(known)['average']:.3f}" in said
    names = {path.name for path in paths.files()}
    assert {"continual.csv", "continual_matrices.csv", f"sequence_residual_cnn_{SEQUENCE}.svg"} <= names
    one_seed.records = dict(reversed(one_seed.records.items()))
    again = build_report(one_seed.study, one_seed.cells, one_seed.records, one_seed.artifacts, tmp_path / "again")
    assert files(again.html.parent) == files(paths.html.parent)


def test_the_frame_of_r_is_what_the_matrices_show(courses: dict[str, Course], results: Results) -> None:
    entries = matrix_entries(list(courses.values()))
    assert list(entries.columns[-3:]) == ["value", "value_low", "value_high"]
    assert len(entries) == 3 * 2 * 9
    for title, matrix in zip(courses, continual_part(results).parts[0].matrices, strict=True):
        ours = entries[(entries["adaptation"] == title) & (entries["metric"] == "accuracy")]
        table = ours.pivot_table(index="step", columns="test", values="value")[list(LEARNT)]
        assert [[cell.text for cell in row] for _, row in matrix.rows] == [
            [f"{value:.2f}" for value in row] for row in table.to_numpy().tolist()
        ]
        assert [[cell.diagonal for cell in row] for _, row in matrix.rows] == np.eye(3, dtype=bool).tolist()
        assert [name for name, _ in matrix.rows] == [f"{step} {name}" for step, name in enumerate(LEARNT)]


def test_the_figure_has_a_panel_a_method_and_names_the_generators(courses: dict[str, Course]) -> None:
    entries = matrix_entries(list(courses.values()))
    svg = sequence_figure(entries[entries["metric"] == "accuracy"], "residual_cnn", SEQUENCE)
    ElementTree.fromstring(svg)
    for text in (*courses, *LEARNT, *(f"on {name}" for name in LEARNT), "accuracy"):
        assert f">{text}<" in svg


def test_seeds_are_resampled_in_figures_as_everywhere(courses: dict[str, Course], results: Results) -> None:
    course: Course = courses["joint"]
    found = course.figure(forgetting, "accuracy")
    each = {seed: by_loops(r.tolist())["forgetting"] for seed, (r, _) in course.whole["accuracy"].items()}
    assert found is not None
    assert found.value == pytest.approx(np.mean(list(each.values())))
    entries = {seed: results.estimates[cell.id]["accuracy"] for seed, cell in course.cells(2, 0).items()}
    entry, _ = course.entry(2, 0, "accuracy")
    assert entry is not None
    np.testing.assert_array_equal(entry.draws, over_seeds(entries, results.resampler).draws)

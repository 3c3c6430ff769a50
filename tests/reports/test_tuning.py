"""What the report says of tuning: every trial, what was chosen and what that gained, and who had which budget."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from orchestrator.plan.cells import Cell, CellId, Stage
from orchestrator.store.records import Failure, Status
from orchestrator.store.tables import TRIALS_FILE
from reports.loading import load_results
from reports.page import build_report
from reports.results import Results
from reports.statistics import Resampler
from reports.tuning import trial_frame, tuned_methods, tuning_frame
from reports.tuning_figures import slices_figure
from reports.tuning_part import TuningPart, tuning_part
from reports.tuning_tables import budget_sentences
from tests.reports.synthetic import Store, build_store
from tests.reports.tuned import add_tunings, pending

SOURCES = ("tconv", "nearest")
ITSELF = [(name, name) for name in SOURCES]
PAIRS = [("tconv", "nearest"), ("nearest", "tconv")]


def untuned(root: Path, methods: tuple[str, ...] = ("dann",)) -> Store:
    return build_store(root, generators=SOURCES, methods=methods, corruptions=(), images=4, looked_at=False)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A detector and two methods, each tuned with twelve trials: read it, don't change it."""
    store = untuned(tmp_path_factory.mktemp("tuned"), ("dann", "fgda"))
    add_tunings(store, "residual_cnn", ITSELF)
    add_tunings(store, "dann", PAIRS)
    add_tunings(store, "fgda", PAIRS)
    return store


@pytest.fixture(scope="module")
def part(store: Store) -> TuningPart:
    return tuning_part(read(store))


@pytest.fixture
def ours(tmp_path: Path) -> Store:
    """A store to tune and to break."""
    return untuned(tmp_path / "results")


def read(store: Store) -> Results:
    return load_results(store.cells, store.records, store.artifacts, Resampler(20))


def tables(store: Store) -> tuple[pd.DataFrame, pd.DataFrame]:
    results = read(store)
    trials = trial_frame(results)
    return trials, tuning_frame(results, trials)


def written(store: Store, tuning: CellId) -> pd.DataFrame:
    """The table of a tuning, as it lies in the store."""
    return pd.read_parquet(store.artifacts.folder(tuning) / TRIALS_FILE)


def rewrite(store: Store, tuning: Cell, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    path = store.artifacts.folder(tuning.id) / TRIALS_FILE
    table = change(pd.read_parquet(path))
    path.unlink()
    table.to_parquet(path)


def sentences(store: Store) -> list[str]:
    results = read(store)
    return budget_sentences(results, tuned_methods(results))


def test_trials_have_their_place_and_the_best_so_far(store: Store) -> None:
    trials, _ = tables(store)

    assert len(trials) == 6 * 12
    assert set(trials["adaptation"]) == {"source_only", "dann", "fgda"}
    for cell in store.find(Stage.TUNE):
        mine, table = trials[trials["tuning"] == cell.id], written(store, cell.id)
        assert set(mine["source"]) == {cell.tags.source}
        best, so_far = float("nan"), []
        for state, value in zip(table["state"], table["value"], strict=True):
            best = max(value, best) if state == "complete" and best == best else value if best != best else best
            so_far.append(best)
        assert list(mine["best"]) == so_far
        assert list(mine.loc[mine["chosen"], "number"]) == [table["value"].idxmax()]


def test_parameters_are_text_that_a_reader_of_csv_takes_as_numbers(store: Store, tmp_path: Path) -> None:
    trials, _ = tables(store)
    trials.to_csv(tmp_path / "trials.csv", index=False)
    again = pd.read_csv(tmp_path / "trials.csv")

    fgda, (cell, _) = again[again["adaptation"] == "fgda"], store.find(Stage.TUNE, adaptation="fgda")
    assert set(fgda["parameter/pseudo_labels"]) == {"predicted", "clustered"}
    rates = fgda.loc[fgda["tuning"] == cell.id, "parameter/recipe.learning_rate"]
    assert list(rates) == [json.loads(text) for text in written(store, cell.id)["parameter/recipe.learning_rate"]]
    assert fgda["parameter/weight"].isna().all()


def test_a_tuning_tells_what_it_chose_and_gained_over_the_studys_own_parameters(store: Store) -> None:
    _, tunings = tables(store)

    assert len(tunings) == 6
    for _, row in tunings.iterrows():
        table = written(store, row["tuning"])
        complete = table[table["state"] == "complete"]
        assert (row["complete"], row["stopped"], row["failed"]) == (11, 0, 1)
        assert row["reference"] == "default"
        assert row["best"] == complete["value"].max()
        assert row["gain"] == pytest.approx(complete["value"].max() - table.loc[0, "value"])
        won = complete.loc[complete["value"].idxmax()]
        assert float(row["chosen/recipe.learning_rate"]) == json.loads(won["parameter/recipe.learning_rate"])


def test_the_default_is_found_whatever_its_number(ours: Store) -> None:
    (cell,) = add_tunings(ours, "dann", PAIRS[:1])
    rewrite(ours, cell, lambda table: table.assign(number=(table["number"] + 5) % 12))
    _, tunings = tables(ours)

    table = written(ours, cell.id).set_index("number")
    assert (tunings["reference"][0], tunings["reference_value"][0]) == ("default", table.loc[5, "value"])


def test_where_the_default_was_not_tried_the_first_trial_stands_for_it(ours: Store) -> None:
    (cell,) = add_tunings(ours, "dann", PAIRS[:1])
    column = "parameter/weight"
    rewrite(ours, cell, lambda table: table.assign(**{column: table[column].replace("1.0", "0.7")}))
    _, tunings = tables(ours)

    assert tunings["reference"][0] == "first trial"
    assert tunings["reference_value"][0] == written(ours, cell.id).loc[0, "value"]
    assert "over the first trial" in str(tuning_part(read(ours)).methods)


def test_no_gain_is_told_over_a_trial_that_did_not_end(ours: Store) -> None:
    (cell,) = add_tunings(ours, "dann", PAIRS[:1])
    rewrite(ours, cell, lambda table: table.assign(state=["failed", *table["state"][1:]]))
    _, tunings = tables(ours)

    assert np.isnan(tunings["gain"][0])


def test_a_tuning_that_is_not_done_is_a_row_without_figures(ours: Store) -> None:
    done, failed = add_tunings(ours, "dann", PAIRS)
    waiting = pending(ours, done)
    failure = Failure(kind="TuningError", message="every trial failed")
    ours.records[failed.id] = replace(ours.records[failed.id], status=Status.FAILED, metrics={}, failure=failure)
    trials, tunings = tables(ours)

    by_cell = tunings.set_index("tuning")
    assert list(by_cell["status"][[done.id, failed.id, waiting.id]]) == ["done", "failed", "pending"]
    assert by_cell["best"].notna().tolist() == [True, False, False]
    assert not trials.loc[trials["tuning"] == failed.id, "chosen"].any()
    part = tuning_part(read(ours))
    assert part.methods
    assert part.methods.rows[0][1][0].text == "1 of 3"


def test_nothing_done_yet_is_a_section_without_figures(ours: Store) -> None:
    ours.drop(add_tunings(ours, "dann", PAIRS))
    part = tuning_part(read(ours))

    assert part.methods
    assert part.methods.rows[0][1][0].text == "0 of 2"
    assert part.figures == {}


def test_the_table_has_means_over_tunings_with_their_range(store: Store, part: TuningPart) -> None:
    _, tunings = tables(store)
    assert part.methods
    assert part.parameters
    rows = dict(part.methods.rows)
    mine = tunings[tunings["adaptation"] == "dann"]

    tuned, states, budget, objective, best, gain = rows[("dann",)]
    assert (tuned.text, states.text, budget.text, objective.text) == ("2", "22 / 0 / 2", "12 trials", "source_val")
    assert (best.text, best.interval) == (
        f"{mine['best'].mean():.3f}",
        f"{mine['best'].min():.3f} to {mine['best'].max():.3f}",
    )
    assert gain.text == f"+{mine['gain'].mean():.3f}"
    chosen = dict(part.parameters.rows)[("dann", "recipe.learning_rate")]
    rates = mine["chosen/recipe.learning_rate"].astype(float)
    assert [figure.text for figure in chosen[:2]] == ["0.0001 to 0.01, log", f"{rates.mean():.3g}"]
    assert chosen[1].interval == f"{rates.min():.3g} to {rates.max():.3g}"
    assert chosen[2].text == f"{mine['importance/recipe.learning_rate'].mean():.2f}"
    assert dict(part.parameters.rows)[("dann", "hidden")][0].text == "64, 256, 1024"


def test_equal_budgets_are_said_to_be_equal(store: Store) -> None:
    assert sentences(store) == [
        "Every compared method had the same budget, 12 trials a tuning: source_only (its detector), dann and fgda."
    ]


def test_methods_with_another_budget_are_named(ours: Store) -> None:
    add_tunings(ours, "dann", PAIRS)
    add_tunings(ours, "fgda", PAIRS, scheduler="asha")

    assert sentences(ours) == [
        "The compared methods did not have the same budget: 12 trials a tuning for dann; 12 trials a tuning with early "
        "stops by asha for fgda; source_only (its detector) was not tuned."
    ]


def test_fewer_trials_are_another_budget(ours: Store) -> None:
    add_tunings(ours, "residual_cnn", ITSELF, trials=4)
    add_tunings(ours, "dann", PAIRS)
    add_tunings(ours, "fgda", PAIRS)

    assert sentences(ours) == [
        "The compared methods did not have the same budget: 12 trials a tuning for dann and fgda; 4 trials a tuning "
        "for source_only (its detector)."
    ]


def test_detectors_are_told_apart(tmp_path: Path) -> None:
    store = build_store(
        tmp_path, generators=SOURCES, methods=(), detectors=("residual_cnn", "other"), corruptions=(), looked_at=False
    )
    add_tunings(store, "residual_cnn", ITSELF)
    part = tuning_part(read(store))

    assert [method.label for method in tuned_methods(read(store))] == ["residual_cnn: source_only"]
    assert part.sentences == [
        "residual_cnn: Every compared method had the same budget, 12 trials a tuning: source_only (its detector)."
    ]
    assert "tuning_slices_residual_cnn_source_only" in part.figures


def test_a_plan_without_tuning_says_nothing_of_it(ours: Store, tmp_path: Path) -> None:
    assert tuning_part(read(ours)) == TuningPart()
    paths = build_report(ours.study, ours.cells, ours.records, ours.artifacts, tmp_path / "report")
    assert 'id="tuning"' not in paths.html.read_text("utf-8")
    assert not any(path.name in ("trials.csv", "tuning.csv") for path in paths.files())


def test_the_page_has_the_section_and_the_files_beside_it(store: Store, tmp_path: Path) -> None:
    paths = build_report(store.study, store.cells, store.records, store.artifacts, tmp_path)

    text = paths.html.read_text("utf-8")
    section = text[text.index('<section id="tuning">') :]
    assert section[: section.index("</section>")].count("<svg ") == 2 + 3
    assert "Every compared method had the same budget" in section
    drawn = {path.stem for path in paths.figures if path.stem.startswith("tuning")}
    slices = {f"tuning_slices_{name}" for name in ("source_only", "dann", "fgda")}
    assert drawn == {"tuning_history", "tuning_importance"} | slices
    assert len(pd.read_csv(tmp_path / "trials.csv")) == 72
    assert len(pd.read_csv(tmp_path / "tuning.csv")) == 6
    assert {paths.html.with_name("trials.csv"), paths.html.with_name("tuning.csv")} <= set(paths.files())


def test_the_same_store_gives_the_same_bytes(store: Store, part: TuningPart) -> None:
    other = replace(store, records=dict(reversed(store.records.items())))
    again = tuning_part(read(other))

    assert again.figures == part.figures
    for name in ("trials", "tuning"):
        assert again.frames[name].to_csv() == part.frames[name].to_csv()


def test_every_figure_is_drawn_with_all_of_its_parameters(store: Store, part: TuningPart) -> None:
    for method in tuned_methods(read(store)):
        svg = part.slices[method.label]
        ElementTree.fromstring(svg)
        told = set(re.findall(r">([^<>]+)</", svg))
        assert set(method.space) <= told
        assert {choice for name in method.space for choice in method.choices(name)} <= told


def test_default_parameters_outside_of_the_space_are_drawn(ours: Store) -> None:
    (cell,) = add_tunings(ours, "dann", PAIRS[:1])
    column = "parameter/weight"
    rewrite(ours, cell, lambda table: table.assign(**{column: ["3000.0", *table[column][1:]]}))
    results = read(ours)
    (method,) = tuned_methods(results)

    assert method.space["weight"]["high"] == 3
    assert re.search(">1000</", slices_figure(method, trial_frame(results), results.sources))

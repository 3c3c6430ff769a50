"""The rules of selection side by side, recomputed from the rows one by one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from orchestrator.plan.cells import Cell, Stage
from orchestrator.store.tables import ROWS_FILE, read_rows
from reports.choices import BEST, CHOICES, LAST
from reports.loading import load_results
from reports.results import Results
from reports.statistics import Resampler
from reports.tasks import ALL, EPOCHS, TASK, over_tasks
from reports.validation import CHECKPOINTS, CONSTANT, FEW, Validation, validation_of
from reports.validation_figures import correlation_figure
from reports.validation_tables import ValidationPart, validation_part
from tests.reports.synthetic import EPOCHS as TRAINED
from tests.reports.synthetic import GENERATORS, Store

DETECTOR = "residual_cnn"
PLACE = {"source": "tconv", "target": "nearest", "seed": 1}
RULES = ("im", "source_val", "snd", "oracle")


def load(store: Store, draws: int = 200) -> Results:
    return load_results(store.cells, store.records, store.artifacts, Resampler(draws))


def judged(store: Store) -> Validation:
    return validation_of(load(store))


@pytest.fixture(scope="module")
def validation(judged_store: Store) -> Validation:
    return judged(judged_store)


@pytest.fixture
def changed(judged_store: Store, tmp_path: Path) -> Store:
    """The same store, to change."""
    root = tmp_path / "results"
    shutil.copytree(judged_store.root, root, copy_function=os.link)
    return replace(judged_store, root=root, cells=list(judged_store.cells), records=dict(judged_store.records))


def rows_of(store: Store, method: str, **place: object) -> pd.DataFrame:
    (cell,) = store.find(Stage.VALIDATE, adaptation=method, **{**PLACE, **place})
    return read_rows(store.artifacts.folder(cell.id) / ROWS_FILE)


def rewrite(store: Store, cell: Cell, rows: pd.DataFrame) -> None:
    (store.artifacts.folder(cell.id) / ROWS_FILE).unlink()  # shared with the store that all tests read
    store.judge(cell, rows)


def candidates(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[~rows["kept"]] if len(rows) > 1 else rows


def one(frame: pd.DataFrame, **values: object) -> pd.Series:
    for name, value in values.items():
        frame = frame[frame[name] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_every_checkpoint_has_a_row_with_its_place_and_all_figures(judged_store: Store, validation: Validation) -> None:
    found = validation.checkpoints
    assert list(found.columns) == [*CHECKPOINTS, *RULES]
    assert (validation.rules, validation.watched, validation.done) == (RULES, 108, 108)
    assert len(found) == 36 * (1 + 2 * (TRAINED + 1))
    assert set(found["selection"]) == {"im"}
    ours = found[(found["adaptation"] == "dann") & (found[list(PLACE)] == pd.Series(PLACE)).all(axis=1)]
    shown = ours.drop(columns=[name for name in CHECKPOINTS if name not in rows_of(judged_store, "dann")])
    pd.testing.assert_frame_equal(shown.reset_index(drop=True), rows_of(judged_store, "dann"), check_like=True)
    assert ours["counts"].tolist() == [True] * TRAINED + [False]
    assert found.loc[found["adaptation"] == "recalibrate", "counts"].all()  # there is no other


@pytest.mark.parametrize("rule", RULES)
def test_correlation_is_spearmans_of_all_checkpoints_of_a_task(
    judged_store: Store, validation: Validation, rule: str
) -> None:
    rows = pd.concat([candidates(rows_of(judged_store, name)) for name in ("recalibrate", "coral", "dann")])
    found = one(validation.correlations, among=ALL, scope="task", rule=rule, **PLACE)
    assert found["rho"] == pytest.approx(stats.spearmanr(rows[rule], rows["target_accuracy"]).statistic)
    assert (found["checkpoints"], found["left_out"], found["undefined"]) == (1 + 2 * TRAINED, 0, "")
    assert found["reads_labels"] == (rule == "oracle")


def test_correlation_within_a_training_is_of_its_epochs(judged_store: Store, validation: Validation) -> None:
    rows = candidates(rows_of(judged_store, "coral"))
    found = one(validation.correlations, among=EPOCHS, scope="task", rule="im", adaptation="coral", **PLACE)
    assert found["rho"] == pytest.approx(stats.spearmanr(rows["im"], rows["target_accuracy"]).statistic)
    alone = one(validation.correlations, among=EPOCHS, scope="task", rule="im", adaptation="recalibrate", **PLACE)
    assert np.isnan(alone["rho"])
    assert alone["undefined"] == FEW


@pytest.mark.parametrize("among", [ALL, EPOCHS])
def test_mean_correlation_is_over_tasks_and_within_a_task_over_methods(validation: Validation, among: str) -> None:
    ours = validation.correlations
    tasks = ours[(ours["among"] == among) & (ours["scope"] == "task") & (ours["rule"] == "snd")]
    found = one(ours, among=among, scope="mean", rule="snd")
    by_task = tasks.groupby(list(TASK))["rho"].mean()
    assert found["rho"] == pytest.approx(by_task.mean())
    assert found["rho_low"] < found["rho"] < found["rho_high"]
    assert (found["tasks"], found["tasks_planned"]) == (36, 36)


def test_figures_that_are_not_defined_are_left_out_and_counted(changed: Store) -> None:
    for cell in changed.find(Stage.VALIDATE, adaptation="coral", **PLACE):
        rows = rows_of(changed, "coral")
        rows.loc[[1, 4], "snd"] = np.nan
        rewrite(changed, cell, rows)
    found = judged(changed)
    rho = one(found.correlations, among=EPOCHS, scope="task", rule="snd", adaptation="coral", **PLACE)
    rows = candidates(rows_of(changed, "coral")).dropna()
    assert (rho["checkpoints"], rho["left_out"]) == (TRAINED - 2, 2)
    assert rho["rho"] == pytest.approx(stats.spearmanr(rows["snd"], rows["target_accuracy"]).statistic)
    assert one(found.correlations, among=ALL, scope="mean", rule="snd")["left_out"] == 2


def test_constant_figures_have_no_correlation_and_take_no_part_in_the_mean(changed: Store) -> None:
    for cell in changed.find(Stage.VALIDATE, **PLACE):
        rewrite(changed, cell, rows_of(changed, cell.tags.adaptation).assign(snd=0.5))
    found = judged(changed).correlations
    assert one(found, among=ALL, scope="task", rule="snd", **PLACE)["undefined"] == CONSTANT
    assert one(found, among=ALL, scope="mean", rule="snd")["tasks"] == 35
    assert one(found, among=ALL, scope="mean", rule="im")["tasks"] == 36


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_chooses_its_largest_figure_and_of_equals_the_latest(
    judged_store: Store, validation: Validation, rule: str
) -> None:
    rows = candidates(rows_of(judged_store, "dann"))
    epoch = max(range(len(rows)), key=lambda k: (rows[rule].iloc[k], k))
    plain = max(range(len(rows)), key=lambda k: (rows["source_val"].iloc[k], k))
    found = one(validation.choices, among=EPOCHS, scope="task", rule=rule, adaptation="dann", **PLACE)
    accuracy = rows["target_accuracy"]
    assert (found["epoch"], found["accuracy"]) == (rows["epoch"].iloc[epoch], accuracy.iloc[epoch])
    assert found["gain"] == pytest.approx(accuracy.iloc[epoch] - accuracy.iloc[plain])
    assert found["regret"] == pytest.approx(accuracy.max() - accuracy.iloc[epoch])


def test_means_of_choices_are_over_tasks_and_paired(validation: Validation) -> None:
    ours = validation.choices[validation.choices["among"] == EPOCHS]
    assert list(ours.columns) == list(CHOICES)
    for rule in (*RULES, LAST, BEST):
        tasks = ours[(ours["scope"] == "task") & (ours["rule"] == rule)]
        for method in ("coral", "dann"):
            found = one(ours, scope="mean", rule=rule, adaptation=method)
            part = tasks[tasks["adaptation"] == method]
            for name in ("accuracy", "gain", "regret"):
                assert found[name] == pytest.approx(part[name].mean())
            assert found["tasks"] == len(part) == 36
        whole = one(ours, scope="mean", rule=rule, adaptation="")
        assert whole["gain"] == pytest.approx(tasks["gain"].mean())
    plain = one(ours, scope="mean", rule="source_val", adaptation="")
    assert (plain["gain_low"], plain["gain_high"], plain["clear"]) == (0, 0, False)  # paired: over itself nothing
    bound = one(ours, scope="mean", rule=BEST, adaptation="")
    assert bound["accuracy"] == ours.loc[(ours["scope"] == "mean") & (ours["adaptation"] == ""), "accuracy"].max()
    assert "recalibrate" not in set(ours["adaptation"])  # one checkpoint, no choice


def test_the_method_is_chosen_too(judged_store: Store, validation: Validation) -> None:
    rows = {name: candidates(rows_of(judged_store, name)) for name in ("recalibrate", "coral", "dann")}
    everything = pd.concat(rows.values())
    found = one(validation.choices, among=ALL, scope="task", rule="im", **PLACE)
    first = everything.loc[everything["im"] == everything["im"].max(), "target_accuracy"]
    assert found["accuracy"] == first.item()
    assert found["regret"] == pytest.approx(everything["target_accuracy"].max() - first.item())
    assert found["adaptation"] == max(rows, key=lambda name: rows[name]["im"].max())
    tied = one(validation.choices, among=ALL, scope="task", rule="source_val", **PLACE)
    assert tied["adaptation"] == "coral = dann"  # both reach 1.0: neither is preferred
    last = [rows[name]["target_accuracy"].iloc[-1] for name in ("coral", "dann")]
    assert tied["accuracy"] == pytest.approx(np.mean(last))


def test_a_rule_without_a_figure_chooses_nothing(changed: Store) -> None:
    for cell in changed.find(Stage.VALIDATE, adaptation="dann"):
        place = {name: getattr(cell.tags, name) for name in TASK}
        rewrite(changed, cell, rows_of(changed, "dann", **place).assign(snd=np.nan))
    found = judged(changed)
    mean = one(found.choices, among=EPOCHS, scope="mean", rule="snd", adaptation="dann")
    assert mean["tasks"] == 0
    assert np.isnan(mean["accuracy"])
    picked = found.choices[(found.choices["among"] == ALL) & (found.choices["rule"] == "snd")]
    assert not picked["adaptation"].str.contains("dann").any()


def test_without_source_val_the_last_epoch_is_what_gains_are_over(make_store: Callable[..., Store]) -> None:
    shape = {"generators": GENERATORS[:3], "methods": ("coral",), "corruptions": (), "looked_at": False}
    found = judged(make_store(**shape, rules=("im",), images=10)).choices
    assert set(found["over"]) == {LAST}
    tasks = found[(found["among"] == EPOCHS) & (found["scope"] == "task")].set_index(["rule", *TASK])["accuracy"]
    mean = one(found, among=EPOCHS, scope="mean", rule="im", adaptation="coral")
    assert mean["gain"] == pytest.approx((tasks["im"] - tasks[LAST]).mean())


def table(pairs: int, seeds: int, rng: np.random.Generator) -> pd.DataFrame:
    places = [("a", f"t{pair}", seed) for pair in range(pairs) for seed in range(seeds)]
    index = pd.MultiIndex.from_tuples(places, names=TASK)
    return pd.DataFrame(rng.normal(size=(len(places), 2)), index=index, columns=["x", "y"])


def test_draws_are_of_pairs_and_seeds_crossed() -> None:
    values = table(4, 3, np.random.default_rng(0))
    values.iloc[5, 0] = np.nan
    resampler = Resampler(50)
    found = over_tasks(values.sample(frac=1, random_state=1), resampler)
    pairs = resampler.counts([f"a to t{pair}" for pair in range(4)])
    seeds = resampler.counts([f"seed {seed}" for seed in range(3)])
    for draw in range(50):
        drawn = [
            values["x"][("a", f"t{pair}", seed)]
            for pair in range(4)
            for seed in range(3)
            for _ in range(int(pairs[pair, draw]) * int(seeds[seed, draw]))
        ]
        assert found["x"].draws[draw] == pytest.approx(np.nanmean(drawn))
    assert found["x"].value == pytest.approx(values["x"].mean())


def test_what_is_too_few_is_not_resampled() -> None:
    rng = np.random.default_rng(0)
    assert np.isnan(over_tasks(table(2, 2, rng), Resampler(20))["x"].low)
    by_seed = table(1, 3, rng)
    found = over_tasks(by_seed, Resampler())["x"]
    assert (found.low, found.high) == pytest.approx((by_seed["x"].min(), by_seed["x"].max()))
    nothing = over_tasks(table(3, 1, rng).assign(y=np.nan), Resampler(20))["y"]
    assert np.isnan([nothing.value, nothing.low]).all()


def part_of(found: Validation) -> ValidationPart:
    part = validation_part(found, DETECTOR, "im")
    assert part is not None
    return part


def test_tables_shade_what_reads_labels_and_name_the_studys_rule(validation: Validation) -> None:
    part = part_of(validation)
    assert part.choices is not None
    assert part.choices.columns == ("method", "im, the study's", "source_val", "snd", LAST, "oracle", BEST)
    assert part.choices.shaded == {"oracle", BEST}
    assert part.correlations.shaded == {"oracle"}
    assert [names[0] for names, _ in part.choices.rows] == ["coral", "dann", "all of these"]
    assert LAST not in part.picks.columns
    mean = one(validation.choices, among=EPOCHS, scope="mean", rule="snd", adaptation="coral")
    assert part.choices.rows[0][1][2].text == f"{mean['accuracy']:.3f}"
    assert part.choices.rows[0][1][2].clear == mean["clear"]
    assert part.alone == " One checkpoint alone, so no choice: recalibrate."


def test_sentences_claim_what_intervals_say(validation: Validation) -> None:
    said = " ".join(part_of(validation).sentences)
    rho = one(validation.correlations, among=ALL, scope="mean", rule="im")["rho"]
    assert f"im goes with the accuracy there most: rho +{rho:.2f}" in said  # oracle is closer, and no rule
    gain = one(validation.choices, among=EPOCHS, scope="mean", rule="im", adaptation="")
    assert ("gain over those of source_val: im" in said) == bool(gain["clear"] and gain["gain"] > 0)
    worse = replace(validation, correlations=validation.correlations.assign(rho_low=-0.1), choices=validation.choices)
    assert "No rule without labels of the target is shown to" in " ".join(part_of(worse).sentences)


def test_unfinished_study_says_how_many_are_judged(changed: Store) -> None:
    changed.drop(changed.find(Stage.VALIDATE, source="tconv"))
    (gone, *_) = changed.find(Stage.VALIDATE, source="nearest")
    (changed.artifacts.folder(gone.id) / ROWS_FILE).unlink()
    found = judged(changed)
    assert (found.watched, found.done) == (108, 80)
    part = part_of(found)
    assert part.sentences[0] == "80 of 108 adaptations are judged so far."
    assert "27 of 36 tasks" in part.correlations.rows[0][1][0].interval


def test_figure_has_a_row_a_rule_and_a_line_before_those_that_read_labels(validation: Validation) -> None:
    svg = correlation_figure(validation.correlations, DETECTOR, validation.rules)
    assert all(f">{name}<" in svg for name in ("im", "source_val", "snd", "oracle (labels)"))


def test_without_watched_adaptations_there_is_nothing(shared_store: Store) -> None:
    found = judged(shared_store)
    assert (found.rules, found.watched) == ((), 0)
    assert validation_part(found, DETECTOR, "source_val") is None
    for frame in (found.checkpoints, found.correlations, found.choices):
        assert frame.empty

"""Which method helps: counts of pairs, costs, recovery, and the oracle that stands apart, recomputed from the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from orchestrator.plan.cells import Cell, Stage
from orchestrator.store.tables import SCORES_FILE, read_scores
from reports.comparison import COMPARISON, comparison_frame, ranking, recovered, recovery_frame
from reports.comparison_tables import comparison_table, recovery_table, verdict
from reports.frames import grid_frame, summary_frame
from reports.gains import gains_frame
from reports.loading import load_results
from reports.ranks import FEWEST_PAIRS, holm, signed_rank
from reports.results import Results
from reports.selection import MixedSelectionError
from reports.statistics import Estimate, Resampler
from reports.words import headline, over_control, rank_words, seeds_covered
from tests.reports.synthetic import GENERATORS, Store

DETECTOR = "residual_cnn"


def load(store: Store, draws: int = 200) -> Results:
    return load_results(store.cells, store.records, store.artifacts, Resampler(draws))


@pytest.fixture(scope="module")
def results(compared_store: Store) -> Results:
    return load(compared_store)


@pytest.fixture(scope="module")
def gains(results: Results) -> pd.DataFrame:
    return gains_frame(results)


@pytest.fixture(scope="module")
def comparison(results: Results, gains: pd.DataFrame) -> pd.DataFrame:
    return comparison_frame(results, gains)


@pytest.fixture(scope="module")
def recoveries(results: Results) -> pd.DataFrame:
    return recovery_frame(results)


def accuracy(store: Store, method: str, source: str, target: str) -> float:
    """The mean over seeds, from the score files alone."""
    cells = store.find(Stage.SCORE, adaptation=method, source=source, test=target)
    own = source if method == "source_only" else target
    tables = [read_scores(store.artifacts.folder(c.id) / SCORES_FILE) for c in cells if c.tags.target == own]
    assert len(tables) == 3
    return float(np.mean([((table["score"] > 0.5) == (table["label"] == 1)).mean() for table in tables]))


def test_a_method_has_a_row_for_each_baseline_and_the_best_comes_first(comparison: pd.DataFrame) -> None:
    assert list(comparison.columns) == list(COMPARISON)
    methods = list(dict.fromkeys(comparison["adaptation"]))
    assert methods == ["few_shot", "dann", "coral", "recalibrate"]
    over = comparison[comparison["baseline"] == "source_only"]["gain"]
    assert over.is_monotonic_decreasing
    assert comparison["baseline"].tolist() == ["source_only", "recalibrate"] * 3 + ["source_only"]
    assert set(comparison["seeds"]) == {3}


def test_pairs_are_won_tied_or_lost_by_their_own_intervals(comparison: pd.DataFrame, gains: pd.DataFrame) -> None:
    pairs = gains[(gains["scope"] == "pair") & (gains["metric"] == "accuracy")]
    for row in comparison.itertuples():
        ours = pairs[(pairs["adaptation"] == row.adaptation) & (pairs["baseline"] == row.baseline)]
        assert row.wins == (ours["gain_low"] > 1e-9).sum()
        assert row.losses == (ours["gain_high"] < -1e-9).sum()
        assert row.wins + row.ties + row.losses == row.pairs == 12
    assert comparison["ties"].sum() > 0  # the threshold alone helps few pairs
    assert comparison["wins"].sum() > 0


def test_losses_are_counted_and_no_gain_is_claimed_of_them(results: Results, gains: pd.DataFrame) -> None:
    worse = gains.copy()
    worse["gain"], worse["gain_low"], worse["gain_high"] = -gains["gain"], -gains["gain_high"], -gains["gain_low"]
    row = comparison_frame(results, worse).set_index(["adaptation", "baseline"]).loc[("dann", "source_only")]
    assert (row["wins"], row["losses"]) == (0, 12)


def test_a_pair_without_an_interval_is_neither_won_tied_nor_lost(results: Results, gains: pd.DataFrame) -> None:
    gone = gains.copy()
    lost = (gone["scope"] == "pair") & (gone["source"] == "tconv")
    gone.loc[lost, ["gain_low", "gain_high"]] = np.nan
    gone.loc[lost, "clear"] = False
    row = comparison_frame(results, gone).set_index(["adaptation", "baseline"]).loc[("dann", "source_only")]
    assert row["wins"] + row["ties"] + row["losses"] == 9
    assert row["pairs"] == 12


def test_p_values_are_of_the_pairs_and_corrected_for_the_whole_table(
    comparison: pd.DataFrame, gains: pd.DataFrame
) -> None:
    pairs = gains[(gains["scope"] == "pair") & (gains["metric"] == "accuracy")]
    row = comparison.iloc[4]
    ours = pairs[(pairs["adaptation"] == row["adaptation"]) & (pairs["baseline"] == row["baseline"])]
    assert row["p"] == signed_rank(ours["gain"].tolist())
    assert comparison["p_holm"].tolist() == holm(comparison["p"].tolist())


def test_cost_and_source_accuracy_are_means_over_the_methods_models(
    compared_store: Store, comparison: pd.DataFrame
) -> None:
    row = comparison[comparison["adaptation"] == "coral"].iloc[0]
    assert (row["seconds"], row["images"]) == (20.0, 8000.0)
    cells = [
        cell for cell in compared_store.find(Stage.SCORE, adaptation="coral") if cell.tags.test == cell.tags.source
    ]
    known = np.mean([compared_store.records[cell.id].metrics["accuracy"] for cell in cells])
    plain = np.mean([accuracy(compared_store, "source_only", name, name) for name in GENERATORS])
    assert row["on_source"] == pytest.approx(known)
    assert row["on_source_change"] == pytest.approx(known - plain)


def test_methods_that_read_labels_are_marked(results: Results, comparison: pd.DataFrame) -> None:
    assert results.labelled == {"few_shot", "oracle"}
    assert set(comparison.loc[comparison["target_labels"], "adaptation"]) == {"few_shot"}


def test_the_oracle_is_in_no_mean_rank_or_comparison(
    results: Results, gains: pd.DataFrame, comparison: pd.DataFrame
) -> None:
    assert results.oracles == ("oracle",)
    assert results.selection == "source_val"
    for frame in (gains, comparison, summary_frame(results)):
        assert "oracle" not in set(frame["adaptation"])
    ranks, pairs, methods = ranking(results, DETECTOR)
    assert ranks is not None
    assert "oracle" not in ranks.ranks
    assert (pairs, methods) == (12, 5)
    grid = grid_frame(results)
    assert set(grid.loc[grid["selection"] == "oracle", "adaptation"]) == {"oracle"}


def test_a_method_that_was_chosen_by_two_rules_is_refused_even_beside_an_oracle(compared_store: Store) -> None:
    cells = list(compared_store.cells)
    place = next(i for i, c in enumerate(cells) if c.tags.adaptation == "coral")
    parts = {name: getattr(cells[place], name) for name in ("stage", "method", "params", "needs", "data")}
    cells[place] = Cell(**parts, tags=replace(cells[place].tags, selection="oracle"))
    with pytest.raises(MixedSelectionError, match="oracle, source_val"):
        load_results(cells, compared_store.records, compared_store.artifacts, Resampler(10))


def test_recovery_is_the_share_of_the_gap_that_is_closed(compared_store: Store, recoveries: pd.DataFrame) -> None:
    pairs = recoveries[recoveries["scope"] == "pair"]
    assert len(pairs) == 12 * 4
    row = pairs[(pairs["adaptation"] == "coral") & (pairs["source"] == "nearest") & (pairs["target"] == "latent8")]
    plain, ours, bound = (
        accuracy(compared_store, name, "nearest", "latent8") for name in ("source_only", "coral", "oracle")
    )
    assert row["recovery"].item() == pytest.approx((ours - plain) / (bound - plain))
    assert (row["source_only"].item(), row["value"].item(), row["bound"].item()) == pytest.approx((plain, ours, bound))
    assert row["recovery_low"].item() < row["recovery"].item() < row["recovery_high"].item()
    mean = recoveries[(recoveries["scope"] == "mean") & (recoveries["adaptation"] == "coral")]
    assert mean["recovery"].item() == pytest.approx(pairs[pairs["adaptation"] == "coral"]["recovery"].mean())


def test_recovery_of_a_small_gap_is_not_defined() -> None:
    gain = Estimate(0.02, np.full(10, 0.02))
    assert recovered(gain, Estimate(0.049, np.full(10, 0.049))) is None
    assert recovered(gain, Estimate(-0.3, np.full(10, -0.3))) is None
    assert recovered(gain, Estimate(float("nan"), np.full(10, np.nan))) is None
    found = recovered(gain, Estimate(0.85 - 0.8, np.linspace(-0.1, 0.2, 10)))  # .05 but for rounding
    assert found is not None
    assert found.value == pytest.approx(0.4)
    assert found.draws.max() == pytest.approx(0.4)  # a draw's gap is .05 at least
    assert found.draws.min() == pytest.approx(0.1)


def test_pairs_of_a_small_gap_are_blank_and_left_out_of_the_mean(
    make_store: Callable[..., Store],
) -> None:
    store = make_store(
        generators=GENERATORS[:2], methods=("coral", "oracle"), corruptions=(), images=40, looked_at=False
    )
    place = {"source": "tconv", "target": "nearest", "test": "nearest"}
    (oracle,) = store.find(Stage.SCORE, adaptation="oracle", **place)
    (plain,) = store.find(Stage.SCORE, adaptation="source_only", source="tconv", target="tconv", test="nearest")
    store.write(oracle, read_scores(store.artifacts.folder(plain.id) / SCORES_FILE))
    found = recovery_frame(load(store, 50))
    blank = found[(found["scope"] == "pair") & found["recovery"].isna()]
    assert blank[["source", "target"]].values.tolist() == [["tconv", "nearest"]]
    mean = found[found["scope"] == "mean"].iloc[0]
    assert (mean["pairs"], mean["pairs_planned"]) == (1, 2)
    table = recovery_table(found, DETECTOR)
    assert table is not None
    assert table.rows[0][1][-1].text == ""
    assert table.rows[0][1][-1].interval == "gap too small"
    assert table.shaded == {"oracle"}


def test_without_an_oracle_nothing_is_recovered(shared_store: Store) -> None:
    found = recovery_frame(load(shared_store, 20))
    assert found.empty
    assert recovery_table(found, DETECTOR) is None


def test_few_pairs_are_not_tested_and_the_page_says_why(make_store: Callable[..., Store]) -> None:
    store = make_store(generators=GENERATORS[:3], corruptions=(), images=20, looked_at=False)
    results = load(store, 50)
    assert comparison_frame(results, gains_frame(results))["p"].isna().all()
    found = ranking(results, DETECTOR)
    assert found == (None, 6, 5)
    said = rank_words(*found, 0)
    assert said.startswith("No signed-rank tests and no critical-difference diagram: 6 pairs")
    assert f"{FEWEST_PAIRS} are needed" in said


def test_two_methods_are_not_ranked(make_store: Callable[..., Store]) -> None:
    store = make_store(methods=("coral",), corruptions=(), images=20, looked_at=False)
    found = ranking(load(store, 20), DETECTOR)
    assert found == (None, 12, 2)
    assert "2 methods are too few" in rank_words(*found, 1)


def test_only_pairs_that_every_method_is_done_on_are_ranked(store: Store) -> None:
    store.drop(store.find(Stage.SCORE, adaptation="coral", source="tconv", target="nearest"))
    ranks, pairs, _ = ranking(load(store, 20), DETECTOR)
    assert pairs == 11
    assert ranks is not None
    assert ranks.pairs == 11


def test_tests_come_with_the_sentence_that_cells_are_correlated(results: Results) -> None:
    said = rank_words(*ranking(results, DETECTOR), 7)
    assert "corrected by Holm for all 7 comparisons" in said
    assert "Friedman's test of 5 methods over 12 pairs" in said
    assert "cells of one grid are correlated" in said


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([1, 1], "There is one seed: intervals hold over test images only"),
        ([2], "2 seeds are too few to resample: intervals hold over test images only"),
        (
            [3],
            "Intervals hold over 3 seeds and over test images. Resampled seeds stay within their range, and that of 3 ",
        ),
        ([5, 2], "Where there are fewer than three, they hold over test images only."),
    ],
)
def test_what_an_interval_holds_over_is_said(counts: list[int], said: str) -> None:
    assert said in seeds_covered(counts)


def test_many_seeds_need_no_warning() -> None:
    assert seeds_covered([6, 8]) == "Intervals hold over 6 to 8 seeds and over test images."
    assert seeds_covered([]) == ""


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ({"source_only": (0.1, True), "recalibrate": (0.05, True)}, "gains over both"),
        ({"source_only": (0.1, True), "recalibrate": (0.05, False)}, "gains over source_only"),
        ({"source_only": (0.1, True), "recalibrate": (-0.05, True)}, "gains over source_only; loses to recalibrate"),
        ({"source_only": (-0.1, True), "recalibrate": (-0.2, True)}, "loses to both"),
        ({"source_only": (0.3, False), "recalibrate": (0.2, False)}, "no gain claimed"),
        ({"source_only": (0.2, True)}, "gains over source_only"),
    ],
)
def test_only_clear_gains_are_put_into_words(gains: dict[str, tuple[float, bool]], said: str) -> None:
    rows = {name: {"gain": gain, "clear": clear, "target_labels": False} for name, (gain, clear) in gains.items()}
    assert verdict(rows, ("source_only", "recalibrate")) == said
    labelled = {name: {**row, "target_labels": True} for name, row in rows.items()}
    assert verdict(labelled, ("source_only", "recalibrate")) == f"{said}; reads target labels"


def test_what_is_not_beyond_further_source_training_that_sees_the_target_is_marked(
    make_store: Callable[..., Store],
) -> None:
    methods = ("recalibrate", "adabn", "source_longer", "dann")
    store = make_store(generators=GENERATORS[:3], methods=methods, corruptions=(), images=30, looked_at=False)
    results = load(store)
    gains = gains_frame(results)
    assert (results.baselines, results.control) == (("source_only", "recalibrate"), "source_longer")
    comparison = comparison_frame(results, gains)
    assert set(comparison["baseline"]) == {"source_only", "recalibrate"}  # the control is none of these
    table = comparison_table(comparison, gains, recovery_frame(results), DETECTOR, results.baselines, results.control)
    findings = {names[0]: names[1] for names, _ in table.rows}
    assert findings["dann"] == "gains over both"
    assert findings["adabn"].endswith("; not beyond source_longer")
    assert "beyond" not in findings["source_longer"]
    column = table.columns.index("accuracy over source_longer") - 2
    beyond = {names[0]: figures[column] for names, figures in table.rows}
    mean = gains[(gains["scope"] == "mean") & (gains["metric"] == "accuracy") & (gains["baseline"] == "source_longer")]
    assert beyond["dann"].text == f"+{mean.set_index('adaptation').loc['dann', 'gain']:.3f}"
    assert beyond["dann"].clear
    assert not beyond["adabn"].clear
    said = over_control(gains, DETECTOR, results.baselines, results.control)
    assert said.startswith("source_longer is the control")
    assert said.endswith("Not shown to gain beyond it: adabn.")
    spoken = " ".join(headline(results, summary_frame(results), gains, DETECTOR))
    assert "dann helps most" in spoken
    assert "not shown to gain beyond" not in spoken
    unclear = gains.assign(clear=gains["clear"] & (gains["baseline"] != "source_longer"))
    spoken = " ".join(headline(results, summary_frame(results), unclear, DETECTOR))
    assert spoken.endswith("It is not shown to gain beyond source_longer.")


def test_without_a_control_nothing_is_said_of_one(results: Results, gains: pd.DataFrame) -> None:
    assert results.control == ""
    assert over_control(gains, DETECTOR, results.baselines, "") == ""


def test_further_source_training_that_sees_no_target_is_no_control(make_store: Callable[..., Store]) -> None:
    store = make_store(generators=GENERATORS[:2], methods=("source_longer",), corruptions=(), looked_at=False)
    cells = []
    for cell in store.cells:
        parts = {name: getattr(cell, name) for name in ("stage", "method", "tags", "needs", "data", "reads")}
        cells.append(Cell(**parts, params={**cell.params, "adaptation": {"sees_target": False}}))
    assert load_results(cells, {}, store.artifacts, Resampler(10)).control == ""


def test_table_shows_gains_counts_recovery_and_cost(
    comparison: pd.DataFrame, gains: pd.DataFrame, recoveries: pd.DataFrame, results: Results
) -> None:
    table = comparison_table(comparison, gains, recoveries, DETECTOR, results.baselines)
    by_name = {names[0]: dict(zip(table.columns[2:], row, strict=True)) for names, row in table.rows}
    dann = by_name["dann"]
    assert dann["won / tied / lost"].text == "12 / 0 / 0"
    assert dann["accuracy over source_only"].text.startswith("+0.")
    assert dann["cost a model"].interval == "8\u202f000 images"
    assert 0 < float(dann["recovery"].text) < 1
    assert by_name["recalibrate"]["accuracy over recalibrate"].text == "–"

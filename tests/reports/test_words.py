"""The headline: no method is praised that does not clearly beat every baseline."""

from __future__ import annotations

import pandas as pd
import pytest

from reports.frames import summary_frame
from reports.gains import gains_frame
from reports.loading import load_results
from reports.results import Results
from reports.statistics import Resampler
from reports.words import headline
from tests.reports.synthetic import Store


@pytest.fixture(scope="module")
def results(shared_store: Store) -> Results:
    return load_results(shared_store.cells, shared_store.records, shared_store.artifacts, Resampler(200))


def best(results: Results, gains: pd.DataFrame) -> str:
    return headline(results, summary_frame(results), gains, "residual_cnn")[-1]


@pytest.mark.parametrize("baseline", ["source_only", "recalibrate"])
def test_method_must_be_clear_over_both_baselines(results: Results, baseline: str) -> None:
    gains = gains_frame(results)
    assert "dann helps most" in best(results, gains)
    gains.loc[(gains["adaptation"] == "dann") & (gains["baseline"] == baseline), "clear"] = False
    assert "coral helps most" in best(results, gains)


def test_a_method_without_labels_is_named_before_a_better_one_with_them(compared_store: Store) -> None:
    ours = load_results(compared_store.cells, compared_store.records, compared_store.artifacts, Resampler(200))
    gains = gains_frame(ours)
    assert best(ours, gains).startswith("Of the methods without labels of the target, dann helps most")
    gains.loc[gains["adaptation"] != "few_shot", "clear"] = False
    assert best(ours, gains).startswith("Of the methods, few_shot, with labels of the target, helps most")


def test_clear_losses_are_no_help(results: Results) -> None:
    gains = gains_frame(results)
    gains["gain"] = -gains["gain"].abs()
    assert best(results, gains).startswith("No method beats both")


def test_gains_are_told_with_both_baselines_and_intervals(results: Results) -> None:
    gains = gains_frame(results)
    said = best(results, gains)
    row = gains[(gains["adaptation"] == "dann") & (gains["scope"] == "mean") & (gains["metric"] == "accuracy")].iloc[0]
    assert f"{row['gain']:+.3f} [{row['gain_low']:+.3f} to {row['gain_high']:+.3f}] over the source detector" in said
    assert "over moving the threshold alone (recalibrate)" in said

"""Every layout, from files on disk to a report, by the command line."""

from __future__ import annotations

import pandas as pd
import pytest

from orchestrator.campaign import Campaign
from tests.e2e.layouts import LAYOUTS
from tests.orchestrator.cli.conftest import call, write_study
from trainables.registry import LAYOUTS as REGISTERED

STUDY = {
    "detectors": [{"kind": "residual_cnn", "width": 4, "recipe": {"epochs": 1, "batch": 16}}],
    "train_generators": "all",
    "test_generators": "all",
    "adaptations": ["recalibrate"],
    "splits": {"train": 0.4, "val": 0.2, "adapt": 0.2, "few": 0.0, "test": 0.2},
    "attacks": [],
    "analyses": [],
}
OWN_REALS = {"train_reals": "own", "test_reals": "own", "train_generators": ["tconv", "bilinear"]}
FURTHER = {
    "deepfeaturex": {"splits": {"train": 0.4, "val": 0.4, "adapt": 0.2, "few": 0.0, "test": 0.0}},
    "forensynths": {**OWN_REALS, "test_generators": ["tconv", "bilinear"]},
    "genimage": {**OWN_REALS, "test_generators": ["tconv", "bilinear"]},
    "truefake": {"train_generators": ["tconv"], "test_generators": ["tconv", "tconv-facebook"]},
    "flat": {"train_generators": ["tconv"]},
}


def test_no_layout_is_forgotten():
    assert set(LAYOUTS) == set(REGISTERED)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_read_as_it_is_and_ends_in_a_report(layout, tmp_path, small_data):
    data = LAYOUTS[layout](small_data, tmp_path / "on disk")
    before = sorted(path for path in (tmp_path / "on disk").rglob("*"))
    study = write_study(tmp_path, tmp_path, **{**STUDY, **FURTHER.get(layout, {}), "data": data})

    result = call("run", study, "--executor", "serial")

    assert result.exit_code == 0, result.output
    campaign = Campaign.open(study)
    results = campaign.results()
    sources, tests = set(results["source"]), set(results["test"])
    clean = results[results["variant"] == ""]
    assert len(clean) == len(sources) * len(tests) * (1 + len(tests)) - len(sources & tests) * len(tests)
    assert clean["auroc"].between(0, 1).all()
    page = campaign.report_page.read_text()
    assert "Data audit" in page
    assert sorted(path for path in (tmp_path / "on disk").rglob("*")) == before  # nothing copied, renamed or left
    kept = pd.read_parquet(campaign.place().index)
    assert set(kept["label"]) == {0, 1}

"""Cells that fail: filed with their reason, told in the report, and run again when they are mended."""

from __future__ import annotations

import json

import pytest

from orchestrator.campaign import Campaign
from orchestrator.store.records import Status
from tests.e2e.processes import ledger, run
from tests.orchestrator.cli.conftest import call, write_study

pytestmark = pytest.mark.slow

RECIPE = {"epochs": 1, "batch": 16}
STUDY = {
    "name": "holes",
    "detectors": [
        {"kind": "residual_cnn", "width": 4, "recipe": RECIPE},
        {"kind": "residual_cnn", "name": "hasty", "width": 4, "recipe": {**RECIPE, "learning_rate": 1e30}},
    ],
    "train_generators": ["tconv"],
    "test_generators": ["bilinear"],
    "adaptations": ["recalibrate", "adabn"],
}
HASTY = "train/hasty/tconv/seed0"
SPOILT = "adapt/residual_cnn/tconv/bilinear/adabn/seed0"


def test_failures_are_results_and_the_mended_ones_are_run_again(tmp_path, small_data):
    file = write_study(tmp_path, small_data, **STUDY)
    campaign = Campaign.open(file)
    spoilt = next(cell for cell in campaign.plan() if cell.name == SPOILT)
    in_the_way = campaign.place().artifacts.folder(spoilt.id)
    in_the_way.parent.mkdir(parents=True)
    in_the_way.touch()  # a file where the cell's folder should be

    code, printed, errors = run(file)

    records = ledger(campaign.storage)
    status = {name: record.status for name, record in records.items()}
    below = {name for name in status if name.startswith(("score/hasty", "adapt/hasty", f"score{SPOILT[5:]}"))}
    assert (code, errors) == (1, "")
    assert len(below) == 6
    assert {name for name in status if status[name] is Status.FAILED} == {HASTY, SPOILT}
    assert {name for name in status if status[name] is Status.BLOCKED} == below
    assert len([name for name in status if status[name] is Status.DONE]) == 5
    assert status["audit"] is Status.DONE
    assert f"FAILED {HASTY}: DivergedError: the loss is not finite in epoch 1" in printed
    assert f"FAILED {SPOILT}: FileExistsError: " in printed
    assert "5 done, 2 failed, 6 blocked; 7 cells run" in printed
    assert "Traceback" in records[HASTY].failure.traceback
    assert "fit.py" in records[HASTY].failure.traceback
    page = campaign.report_page.read_text()
    assert HASTY in page
    assert "the loss is not finite" in page
    troubles = json.loads(call("status", file, "--json").stdout)["troubles"]
    assert {trouble["name"] for trouble in troubles} == {HASTY, SPOILT, *below}

    code, printed, _ = run(file)

    assert code == 1
    assert "5 done, 2 failed, 6 blocked; 0 cells run" in printed

    in_the_way.unlink()
    code, printed, _ = run(file, "--retry-failed", "--executor", "serial")

    after = ledger(campaign.storage)
    assert code == 1
    assert "7 done, 1 failed, 5 blocked; 3 cells run" in printed
    assert (after[SPOILT].status, after[SPOILT].attempt) == (Status.DONE, 2)
    assert (after[HASTY].status, after[HASTY].attempt) == (Status.FAILED, 2)
    assert all(after[name] == record for name, record in records.items() if record.status is Status.DONE)

"""A study that is run again: what is up to date stays, what is not is made anew."""

from __future__ import annotations

import shutil

import mlflow

from orchestrator.campaign import Campaign
from orchestrator.store.ledger import Ledger
from tests.orchestrator.cli.conftest import call, write_study


def parent_of(campaign):
    """The study's parent run in MLflow, and the names of its artifacts."""
    client = mlflow.MlflowClient(campaign.target.uri)
    experiment = client.get_experiment_by_name(campaign.target.experiment)
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    return parent, {file.path for file in client.list_artifacts(parent.info.run_id)}


def test_a_report_is_made_again_only_when_it_would_say_something_else(finished, tmp_path):
    file, _ = finished
    storage = tmp_path / "results"
    shutil.copytree(file.parent / "results", storage)
    images = Campaign.open(file).study.data[0].root
    first = write_study(tmp_path, images)
    call("run", first, "--executor", "serial")  # in its new place
    page = Campaign.open(first).report_page
    made = page.stat().st_mtime_ns

    call("run", first, "--executor", "serial")
    assert page.stat().st_mtime_ns == made

    described = write_study(tmp_path, images, description="Said later")
    result = call("run", described, "--executor", "serial")
    assert "; 0 cells run" in result.stdout
    assert "Said later" in page.read_text()


def test_what_a_killed_driver_did_not_file_is_in_the_report_of_the_next_run(study, tmp_path):
    file = study()
    assert call("run", file, "--executor", "serial").exit_code == 0
    campaign = Campaign.open(file)
    before = campaign.report_page.read_text()
    shutil.rmtree(tmp_path / "results" / "ledger")  # workers had finished, the driver had filed nothing
    campaign.report_page.write_text("an earlier page")
    (campaign.folder / "report.json").write_text('"of an earlier state"')

    result = call("run", file, "--executor", "serial")

    assert "7 done; 0 cells run" in result.stdout
    assert len(Ledger(campaign.storage).records()) == 7
    assert campaign.report_page.read_text() == before
    parent, _ = parent_of(campaign)
    assert parent.info.status == "FINISHED"


def test_an_mlflow_that_was_not_there_is_whole_after_the_next_run(study, tmp_path):
    file = study()
    assert call("run", file, "--executor", "serial").exit_code == 0
    for name in tmp_path.glob("results/mlflow.db*"):
        name.unlink()

    assert "; 0 cells run" in call("run", file, "--executor", "serial").stdout

    parent, artifacts = parent_of(Campaign.open(file))
    assert parent.info.status == "FINISHED"
    assert {"report.html", "results.csv"} <= artifacts


def test_workers_read_the_images_that_the_run_was_planned_for(study, images, tmp_path):
    mine = tmp_path / "images"
    shutil.copytree(images, mine)
    file = study(data={"root": str(mine)})
    assert call("run", file, "--executor", "serial").exit_code == 0
    index = Campaign.open(file).place().index
    planned = index.read_bytes()

    shutil.copy(mine / "fake" / "tconv" / "test-00000.jpg", tmp_path / "kept.jpg")
    (mine / "fake" / "tconv" / "test-00000.jpg").write_bytes((tmp_path / "kept.jpg").read_bytes() + b"\0")
    assert call("check", file).exit_code == 0  # brings the folder's index up to date

    assert index.read_bytes() == planned

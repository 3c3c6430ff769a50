"""MLflow beside a whole run: live, down, filled in later, wiped and filled again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.campaign import Campaign
from tests.e2e.processes import run
from tests.orchestrator.cli.conftest import call, write_study
from tests.orchestrator.store.runs import Runs

pytestmark = pytest.mark.slow

STUDY = {
    "name": "tracked",
    "detectors": [{"kind": "residual_cnn", "width": 4, "recipe": {"epochs": 2, "batch": 16}}],
    "train_generators": ["tconv"],
    "test_generators": ["bilinear"],
    "adaptations": ["recalibrate"],
}
CELLS = 5
DEAD = "http://127.0.0.1:9"


@pytest.fixture
def tracked(tmp_path, small_data):
    """Writes the study with another tracking store; the results stay where they are."""
    return lambda uri=None: write_study(tmp_path, small_data, **STUDY, tracking={"uri": uri})


@pytest.fixture(scope="module")
def live(tmp_path_factory, small_data):
    """The study after a run that had its database all the time."""
    file = write_study(tmp_path_factory.mktemp("live"), small_data, **STUDY)
    assert run(file, "--executor", "serial")[::2] == (0, "")
    return file


def timeless(content: dict[str, Any]) -> dict[str, Any]:
    """The same of two runs of one study: without when, where and how fast each cell ran."""

    def kept(figures: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in figures.items() if "second" not in key}

    return {
        cell: (status, name, params, kept(metrics), set(tags), kept(curves), inputs)
        for cell, (status, name, params, metrics, tags, curves, inputs) in content.items()
    }


def runs(file: Path) -> Runs:
    """What MLflow shows of the study, after making sure that nothing is there twice."""
    found = Runs(Campaign.open(file).target)
    assert (len(found.parents), len(found.cells), found.count) == (1, CELLS, CELLS + 1)
    assert {child.data.tags["mlflow.parentRunId"] for child in found.cells.values()} == {found.parents[0].info.run_id}
    assert {len(found.inputs(cell)) for cell in found.cells} == {1, 2}  # an adaptation reads a source and a target
    return found


def test_a_run_without_its_server_goes_on_and_is_filled_in_later_as_if_it_had_been_there(tracked, tmp_path, live):
    code, printed, errors = run(tracked(DEAD), "--executor", "serial")

    assert code == 0
    assert f"{CELLS} done; {CELLS} cells run" in printed
    (told,) = errors.splitlines()
    assert told.startswith(f"MLflow at {DEAD} does not answer; the run goes on, and what is missing there is mirrored")

    assert call("report", tracked(f"sqlite:///{tmp_path / 'late.db'}"), "--replay-tracking").exit_code == 0
    late = runs(tracked(f"sqlite:///{tmp_path / 'late.db'}"))
    assert late.parents[0].info.status == "FINISHED"
    assert late.parents[0].data.tags["cells.done"] == str(CELLS)
    assert timeless(late.content()) == timeless(runs(live).content())


def test_an_emptied_database_is_filled_again_as_it_was_mirrored_live(live):
    before = runs(live).content()
    assert [len(curves["epoch/loss"]) for *_, curves, _ in before.values() if "epoch/loss" in curves] == [2]

    assert call("report", live, "--replay-tracking").exit_code == 0
    assert runs(live).content() == before

    for database in Campaign.open(live).storage.glob("mlflow.db*"):
        database.unlink()
    assert call("report", live, "--replay-tracking").exit_code == 0
    assert runs(live).content() == before

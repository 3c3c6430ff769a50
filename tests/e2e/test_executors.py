"""One study on every executor and launcher: the same figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pandas.testing import assert_frame_equal

from orchestrator.campaign import Campaign
from orchestrator.store.records import Record, Status
from tests.e2e.conftest import results
from tests.e2e.processes import alive, family, finish, kill, ledger, orchestrator, run, title, until
from tests.orchestrator.cli.conftest import write_study
from trainables.checkpoint import load_state
from trainables.context import STATE

pytestmark = pytest.mark.slow

RECIPE = {"epochs": 3, "batch": 16}
PAIR = {
    "name": "pair",
    "detectors": [{"kind": "residual_cnn", "width": 4, "recipe": RECIPE}],
    "train_generators": ["tconv"],
    "test_generators": ["bilinear"],
    "adaptations": [{"kind": "coral", "recipe": RECIPE}],
}
ALONE = {"adapt": {"launcher": "train"}}
TOGETHER = {"train": {"workers": 2}}
LONG = "train/residual_cnn/tconv/seed0"


@pytest.fixture(scope="module")
def pair(tmp_path_factory, small_data):
    """Runs the pair with some keys changed; gives its file."""

    def run_pair(executor: str = "ray", **changes: object) -> Path:
        file = write_study(tmp_path_factory.mktemp("pair"), small_data, **{**PAIR, **changes})
        code, _, errors = run(file, "--executor", executor)
        assert (code, errors) == (0, "")
        return file

    return run_pair


@pytest.fixture(scope="module")
def serial(pair):
    """The pair's results from one process."""
    return results(pair("serial"))


def records(file: Path) -> Mapping[str, Record]:
    return ledger(Campaign.open(file).storage)


def test_warm_processes_give_what_one_process_gives(pair, serial):
    assert_frame_equal(results(pair()), serial, check_exact=True)


def test_a_worker_group_of_one_gives_what_one_process_gives(pair, serial):
    file = pair(resources=ALONE)

    assert_frame_equal(results(file), serial, check_exact=True)
    assert not (Campaign.open(file).storage / "ray").exists()


def test_two_workers_learn_the_same_with_batchnorm_of_their_own(pair, serial):
    # Mixed on purpose: on two CPUs, the adaptation must not wait for what idle workers hold, nor they for it.
    file = pair(resources=TOGETHER)
    two = results(file)

    key = ["source", "target", "adaptation", "test"]
    assert two[key].equals(serial[key])
    of_two = records(file)[LONG]
    assert [row["epoch"] for row in of_two.curves] == [1.0, 2.0, 3.0]
    assert of_two.images == 3 * 32  # as with one worker: a step is divided, not doubled
    # Each worker normalises its half of the batch, so the figures are near, not equal.
    assert (two["auroc"] - serial["auroc"]).abs().max() < 0.1


def test_a_worker_group_tells_its_epochs_goes_on_from_the_last_and_files_a_failure_once(tmp_path, small_data):
    detectors = [
        {"kind": "residual_cnn", "width": 4, "recipe": {"epochs": 150, "batch": 16}},
        {"kind": "residual_cnn", "name": "hasty", "width": 4, "recipe": {**RECIPE, "learning_rate": 1e30}},
    ]
    study = {**PAIR, "detectors": detectors, "adaptations": [], "resources": TOGETHER}
    file = write_study(tmp_path, small_data, **study)

    def epochs() -> list[int]:
        """What ``orchestrator status`` shows of the cell in training."""
        return [running.epoch for running in Campaign.open(file).status().running if running.epoch]

    def state() -> list[Any]:
        """The saved state of the cell in training."""
        return [load_state(path)["state"] for path in (tmp_path / "results" / "cells").rglob(STATE)]

    with orchestrator("run", file) as driver:
        until(epochs, driver)
        workers = [pid for pid in family(driver.pid) if title(pid).startswith("ray::RayTrainWorker")]
        kill(workers[:1])
        until(lambda: not alive(workers), driver)  # the other waits for the one that is gone, and is ended
        (saved,) = state()
        code, _, errors = finish(driver)

    assert (code, len(workers)) == (1, 2)
    assert errors == f"the worker of {LONG} died; another takes it up where it was last saved\n"
    long, hasty = records(file)[LONG], records(file)["train/hasty/tconv/seed0"]
    assert long.status is Status.DONE
    assert 0 < len(saved["curves"]) < len(long.curves)
    assert list(long.curves[: len(saved["curves"])]) == saved["curves"]  # seconds too: no epoch was run again
    assert (hasty.status, hasty.attempt, hasty.failure.kind) == (Status.FAILED, 1, "DivergedError")
    assert "the loss is not finite in epoch 1" in hasty.failure.message
    assert not (tmp_path / "results" / "ray").exists()

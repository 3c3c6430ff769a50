"""One study on every executor and launcher: the same figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

from orchestrator.campaign import Campaign
from orchestrator.store.records import Record
from tests.e2e.conftest import results
from tests.e2e.processes import family, finish, kill, ledger, orchestrator, run, title, until
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
ALONE = {"train": {"launcher": "train"}, "adapt": {"launcher": "train"}}
TOGETHER = {"train": {"workers": 2}}


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
    of_two = records(file)["train/residual_cnn/tconv/seed0"]
    assert [row["epoch"] for row in of_two.curves] == [1.0, 2.0, 3.0]
    assert of_two.images == 3 * 32  # as with one worker: a step is divided, not doubled
    # Each worker normalises its half of the batch, so the figures are near, not equal.
    print(serial[["accuracy", "auroc"]], two[["accuracy", "auroc"]])
    assert (two["auroc"] - serial["auroc"]).abs().max() < 0.3


def test_a_worker_group_tells_its_epochs_and_goes_on_from_the_last(tmp_path, small_data):
    long = {"epochs": 40, "batch": 16}
    detectors = [{"kind": "residual_cnn", "width": 4, "recipe": long}]
    file = write_study(
        tmp_path, small_data, **{**PAIR, "detectors": detectors, "adaptations": [], "resources": TOGETHER}
    )

    def saved() -> list[Path]:
        states = (tmp_path / "results" / "cells").rglob(STATE)
        return [path for path in states if len(load_state(path)["curves"]) >= 2]

    with orchestrator("run", file) as driver:
        (state,) = until(saved, driver)
        (running,) = until(lambda: Campaign.open(file).status().running, driver)
        workers = [pid for pid in family(driver.pid) if title(pid).startswith("ray::RayTrainWorker")]
        kill(workers[:1])
        curves = load_state(state)["curves"]
        code, printed, errors = finish(driver)

    assert (code, len(workers)) == (0, 2)
    assert running.epoch >= 1
    assert "FAILED" not in printed
    assert errors == (
        "the worker of train/residual_cnn/tconv/seed0 died; another takes it up where it was last saved\n"
    )
    record = records(file)["train/residual_cnn/tconv/seed0"]
    assert list(record.curves[: len(curves)]) == curves
    assert not (tmp_path / "results" / "ray").exists()

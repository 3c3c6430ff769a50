"""Drivers and workers are killed at work; whatever happens, the same command ends with the same results."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

from orchestrator.campaign import Campaign
from orchestrator.store.records import Status
from tests.e2e.conftest import results
from tests.e2e.processes import alive, family, finish, kill, ledger, orchestrator, run, title, until
from tests.orchestrator.cli.conftest import call
from tests.orchestrator.store.runs import Runs
from trainables.checkpoint import load_state
from trainables.context import STATE

pytestmark = pytest.mark.slow

GOES_ON = "interrupted: what is done is kept, and the same command takes up the rest"


def assert_whole(file: Path, undisturbed) -> None:
    """Every cell of the grid is done, shown once in MLflow, and has the figures of an undisturbed run."""
    campaign = Campaign.open(file)
    cells = [cell.id for cell in campaign.plan()]
    assert [record.status for record in campaign.records()] == [Status.DONE] * len(cells)
    runs = Runs(campaign.target)
    assert (len(runs.parents), runs.count, set(runs.cells)) == (1, 1 + len(cells), set(cells))
    assert {run.info.status for run in (*runs.parents, *runs.cells.values())} == {"FINISHED"}
    assert_frame_equal(results(file), undisturbed, check_exact=True)
    leftovers = [path for path in campaign.storage.rglob("*") if path.suffix == ".tmp" or path.name == STATE]
    assert leftovers == []


@pytest.mark.parametrize("executor", ["ray", "serial"])
def test_a_killed_driver_leaves_nothing_alive_and_the_next_run_does_only_the_rest(
    grid, tmp_path, undisturbed, executor
):
    file = grid()
    with orchestrator("run", file, "--executor", executor) as driver:
        until(lambda: len(ledger(tmp_path / "results")) >= 3, driver)
        processes = family(driver.pid)
        driver.kill()
        driver.wait()
        # Ray's two agents, which start nothing by themselves, take half a minute to see that their node is gone.
        until(lambda: all("Agent" in title(pid) for pid in alive(processes)))
        assert "grid: interrupted" in call("status", file).stdout
        before = ledger(tmp_path / "results")

        code, printed, errors = run(file, "--executor", executor)

    assert code == 0
    assert f"driver pid {driver.pid}" in errors
    assert "ended without a word; going on from the ledger" in errors
    assert int(printed.split(" done before")[0].split()[-1]) >= len(before)  # more, if a worker was ahead of the ledger
    after = ledger(tmp_path / "results")
    assert {name: after[name] for name in before} == before  # when and where each ran, to the microsecond
    assert_whole(file, undisturbed)


def test_a_killed_worker_is_replaced_and_its_cell_goes_on_from_its_last_epoch(grid, tmp_path, undisturbed):
    file = grid()

    def saved() -> list[Path]:
        """The states of trainings that are a few epochs old."""
        states = (tmp_path / "results" / "cells").rglob(STATE)
        return [path for path in states if len(load_state(path)["state"]["curves"]) >= 2]

    with orchestrator("run", file) as driver:
        until(saved, driver)
        kill([pid for pid in family(driver.pid) if title(pid).startswith("ray::ImplicitFunc")])
        caught = {path.parent.name: load_state(path)["state"]["curves"] for path in saved()}
        code, printed, errors = finish(driver)

    assert code == 0
    assert "FAILED" not in printed
    assert {line.split(" died")[0] for line in errors.splitlines()} <= {
        f"the worker of {name}" for name in ("train/residual_cnn/tconv/seed0", "train/residual_cnn/nearest/seed0")
    }
    assert errors
    records = {record.cell: record for record in ledger(tmp_path / "results").values()}
    for cell, curves in caught.items():
        assert list(records[cell].curves[: len(curves)]) == curves  # the seconds of its epochs too: none was run again
    assert_whole(file, undisturbed)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_says_one_line_and_frees_everything(grid, tmp_path, undisturbed, number, code):
    file = grid()
    with orchestrator("run", file) as driver:
        until(lambda: len(ledger(tmp_path / "results")) >= 3, driver)
        processes = family(driver.pid)
        driver.send_signal(number)
        exit_code, _, errors = finish(driver)
        until(lambda: not alive(processes))

    assert exit_code == code
    assert errors.splitlines() == [GOES_ON]
    assert not (tmp_path / "results" / "driver.json").exists()
    assert not (tmp_path / "results" / "ray").exists()
    assert "grid: interrupted" in call("status", file).stdout

    exit_code, _, errors = run(file, "--executor", "serial")

    assert (exit_code, errors) == (0, "")
    assert_whole(file, undisturbed)


def test_a_second_driver_is_refused_while_the_first_is_at_work(grid, tmp_path):
    file = grid()
    with orchestrator("run", file, "--executor", "serial") as first:
        until(lambda: ledger(tmp_path / "results"), first)
        code, printed, errors = run(file, "--executor", "serial")
        assert first.poll() is None
        assert "grid: running" in call("status", file).stdout

    assert (code, printed) == (2, "")
    assert errors.startswith(f"error: {tmp_path / 'results'}: the storage is in use by driver pid {first.pid} on ")
    assert "wait until it ends, or use another `storage`" in errors
    assert "Traceback" not in errors

"""Tunings on a real local Ray; the trials' work is made up."""

from __future__ import annotations

import pytest

from orchestrator.run.on_ray import run_on_ray
from orchestrator.run.serial import run_serially
from orchestrator.store.ledger import Ledger
from orchestrator.store.tables import TRIALS_FILE, read_rows
from tests.orchestrator.run.tunable import executed, learns, nested, run_of, the_tuning, tuned_detector

pytestmark = pytest.mark.usefixtures("local_ray")


def test_ray_and_the_serial_executor_choose_the_same(tmp_path):
    run_serially(run_of(tmp_path / "here", tuned_detector()))
    run_on_ray(run_of(tmp_path / "ray", tuned_detector()))
    here, there = the_tuning(tmp_path / "here"), the_tuning(tmp_path / "ray")
    assert (there.cell, there.chosen, there.metrics) == (here.cell, here.chosen, here.metrics)


@pytest.mark.slow
def test_ray_and_the_serial_executor_choose_the_same_of_everything(tmp_path):
    run_serially(run_of(tmp_path / "here", nested()))
    run = run_of(tmp_path / "ray", nested())
    run_on_ray(run)
    assert run.summary().exit_code == 0
    for target in ("a", "b"):
        here, there = the_tuning(tmp_path / "here", target=target), the_tuning(tmp_path / "ray", target=target)
        assert (there.cell, there.chosen, there.metrics) == (here.cell, here.chosen, here.metrics)
    assert sorted(executed(tmp_path / "ray")) == sorted(executed(tmp_path / "here"))


@pytest.mark.slow
def test_asha_stops_trials_in_the_middle_and_their_process_takes_the_next(tmp_path):
    run = run_of(tmp_path, tuned_detector(trials=12, scheduler="asha"), learns)
    run_on_ray(run)
    assert run.summary().exit_code == 0
    record = the_tuning(tmp_path)
    rows = read_rows(run.place.artifacts.folder(record.cell) / TRIALS_FILE)
    stopped = rows[rows["state"] == "stopped"]
    assert len(rows) == 12
    assert len(stopped) > 3
    assert record.metrics["complete"] + len(stopped) == 12
    assert not set(stopped["cell"]) & set(Ledger(tmp_path).records())
    told = 5 * record.metrics["complete"] + stopped["epochs"].sum()
    assert len((tmp_path / "epochs.txt").read_text().split()) == told  # nothing was trained after a stop
    assert len({each.process for each in Ledger(tmp_path).records().values() if each.stage == "train"}) <= 2

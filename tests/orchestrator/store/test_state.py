"""The state of a run, as this process and as another one sees it."""

from __future__ import annotations

import os

import pytest

from orchestrator.plan.graph import plan_of
from orchestrator.store import state as module
from orchestrator.store.lock import DriverLock
from orchestrator.store.records import Status
from orchestrator.store.state import LiveState, Phase, read_state, state_file


@pytest.fixture
def plan(cell):
    return plan_of("demo", [cell(seed) for seed in range(4)])


def test_a_study_that_never_ran_has_no_state(tmp_path):
    assert read_state(tmp_path, "demo") is None


def test_a_reader_sees_what_the_driver_does(tmp_path, plan, cell, record, monkeypatch):
    monkeypatch.setattr(module, "_INTERVAL", 0.0)
    with DriverLock(tmp_path, "demo"):
        live = LiveState(tmp_path, "demo")
        live.begin(plan, {record(0).cell: record(0)})
        live.started(cell(1))
        live.started(cell(2))
        live.progress(cell(2), {"epoch": 3, "loss": 0.25})
        live.finished(record(1, Status.FAILED))

        seen = read_state(tmp_path, "demo")

    assert (seen.phase, seen.pid, seen.study) == (Phase.RUNNING, os.getpid(), "demo")
    assert seen.planned == {"train": 4}
    assert seen.ended == {"train": {"done": 1, "failed": 1}}
    (running,) = seen.running
    assert (running.cell, running.name, running.epoch) == (cell(2).id, cell(2).name, 3)
    assert running.metrics == {"loss": 0.25}
    assert seen.running == live.snapshot().running


def test_a_cell_that_is_run_again_counts_once(tmp_path, plan, record):
    live = LiveState(tmp_path, "demo")
    live.begin(plan, {record(0).cell: record(0, Status.FAILED)})

    live.finished(record(0, attempt=2))

    assert live.snapshot().ended == {"train": {"done": 1}}


def test_a_run_without_a_driver_is_interrupted(tmp_path, plan):
    with DriverLock(tmp_path, "demo"):
        LiveState(tmp_path, "demo").begin(plan, {})

    assert read_state(tmp_path, "demo").phase is Phase.INTERRUPTED


KILLED = """
import os, sys, time
from pathlib import Path
from orchestrator.plan.graph import plan_of
from orchestrator.store.lock import DriverLock
from orchestrator.store.state import LiveState

root = Path(sys.argv[1])
with DriverLock(root, "demo"):
    LiveState(root, "demo").begin(plan_of("demo", []), {})
    print("ready", flush=True)
    time.sleep(60)
"""


def test_another_driver_in_the_storage_does_not_revive_a_killed_run(tmp_path, start):
    driver = start(KILLED, tmp_path)
    driver.stdout.readline()
    assert read_state(tmp_path, "demo").phase is Phase.RUNNING
    driver.kill()
    driver.wait()

    assert read_state(tmp_path, "demo").phase is Phase.INTERRUPTED
    with DriverLock(tmp_path, "other"):
        assert read_state(tmp_path, "demo").phase is Phase.INTERRUPTED


@pytest.mark.parametrize(("ended", "phase"), [(4, Phase.FINISHED), (3, Phase.INTERRUPTED)])
def test_a_run_that_ends_is_finished_if_every_cell_has_ended(tmp_path, plan, record, ended, phase):
    live = LiveState(tmp_path, "demo")
    live.begin(plan, {})
    for seed in range(ended):
        live.finished(record(seed))

    live.end()

    assert read_state(tmp_path, "demo").phase is phase
    assert read_state(tmp_path, "demo").ended == {"train": {"done": ended}}


def test_the_file_is_written_at_most_once_a_second(tmp_path, plan, cell, monkeypatch):
    live = LiveState(tmp_path, "demo")
    live.begin(plan, {})
    first = state_file(tmp_path, "demo").read_bytes()

    for epoch in range(50):
        live.progress(cell(1), {"epoch": epoch})
    assert state_file(tmp_path, "demo").read_bytes() == first

    monkeypatch.setattr(module, "_INTERVAL", 0.0)
    live.tick()
    assert read_state(tmp_path, "demo").running[0].epoch == 49


def test_a_state_that_cannot_be_read_is_none(tmp_path):
    path = state_file(tmp_path, "demo")
    path.parent.mkdir(parents=True)
    path.write_text('{"study": "demo", "running": [], "phase": "running", "of another": "version"}')

    assert read_state(tmp_path, "demo") is None

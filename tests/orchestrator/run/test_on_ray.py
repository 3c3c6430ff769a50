"""The executor on a real local Ray; the cells' work is made up, except where the trainers themselves are tested."""

from __future__ import annotations

import subprocess
import sys

import pytest

from orchestrator.run.on_ray import run_on_ray
from orchestrator.run.session import connected
from orchestrator.store.ledger import Ledger
from orchestrator.study.resources import StageResources
from tests.orchestrator.run.made_up import Told, die_once_at, executed, fail_at, grid
from trainables.errors import InputError


@pytest.mark.usefixtures("local_ray")
def test_a_grid_runs_as_a_graph_every_cell_once(make_run, tmp_path):
    run = make_run(grid(4, 3))
    run_on_ray(run)
    assert run.summary().done == len(run.plan)
    order = executed(tmp_path)
    assert sorted(order) == sorted(cell.name for cell in run.plan)
    position = {name: index for index, name in enumerate(order)}
    for cell in run.plan:
        assert all(position[run.plan.cells[parent].name] < position[cell.name] for parent in cell.needs)
    again = make_run(grid(4, 3))
    run_on_ray(again)
    assert again.summary().executed == 0


@pytest.mark.usefixtures("local_ray")
def test_jobs_share_warm_processes(make_run, tmp_path):
    run = make_run(grid(6, 3))
    run_on_ray(run)
    processes = {r.process for r in Ledger(tmp_path).records().values() if r.stage in ("train", "adapt", "score")}
    assert len(processes) <= 2


@pytest.mark.usefixtures("local_ray")
def test_a_failing_cell_does_not_stop_the_grid(make_run):
    run = make_run(work=fail_at("train/d/s0/seed0", "attack/d/s1t0/s1t0/a/seed0/s1t0"))
    run_on_ray(run)
    lost = sum(cell.tags.source.startswith("s0") for cell in run.plan)
    assert (run.summary().failed, run.summary().blocked) == (2, lost - 1)
    assert run.summary().done == len(run.plan) - lost - 1


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("name", ["adapt/d/s0t1/s0t1/a/seed0", "attack/d/s0t1/s0t1/a/seed0/s0t1"])
def test_a_killed_worker_is_replaced_and_the_cell_run_again(make_run, name):
    run = make_run(work=die_once_at(name))
    run_on_ray(run)
    assert run.summary().done == len(run.plan)


@pytest.mark.usefixtures("local_ray")
def test_listeners_hear_of_what_happens_in_other_processes(make_run):
    told = Told()
    run = make_run(grid(1, 1), listeners=[told])
    run_on_ray(run)
    names = {cell.name for cell in run.plan}
    assert {event[1] for event in told.events if event[0] == "finished"} == names
    assert {event[1] for event in told.events if event[0] == "started"} <= names


@pytest.mark.usefixtures("local_ray")
def test_ray_leaves_nothing_behind(make_run):
    run = make_run(grid(1, 1))
    run_on_ray(run)
    assert not run.place.scratch.exists()


def test_a_request_that_does_not_fit_is_refused_before_anything_starts():
    greedy = StageResources.model_validate({"train": {"cpus": 10_000}})
    with pytest.raises(InputError, match="more CPUs than this machine has") as caught, connected(None, greedy):
        pass
    assert caught.value.where == "resources.train"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nonsense"])
def test_an_address_without_a_cluster_is_told(address):
    # In a process of its own: this one may be connected already.
    code = (
        "from orchestrator.run.session import connected\n"
        "from orchestrator.study.resources import StageResources\n"
        f"with connected({address!r}, StageResources()): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "no Ray cluster answers" in done.stderr

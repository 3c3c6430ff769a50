from __future__ import annotations

import os
import subprocess
import sys

import pytest
import ray

from orchestrator.run.session import GROWTH, Cluster
from orchestrator.study.resources import Resources

SMALL = {"CPU": 2.0}


def test_a_local_machine_runs_what_fits_and_at_least_one():
    local = Cluster(SMALL, local=True)
    assert local.at_once(Resources()) == 2
    assert local.at_once(Resources(cpus=0.5)) == 4
    assert local.at_once(Resources(), workers=2) == 1
    assert local.at_once(Resources(cpus=8)) == 1


def test_gpus_count_where_they_are_asked_for():
    with_gpus = Cluster({"CPU": 16.0, "GPU": 2.0}, local=True)
    assert with_gpus.at_once(Resources(gpus=0.5)) == 4
    assert with_gpus.at_once(Resources(gpus=1)) == 2


def test_a_cluster_is_asked_for_more_than_it_has_so_that_it_grows():
    empty = Cluster({"CPU": 0.0}, local=False)
    assert empty.at_once(Resources()) == GROWTH
    assert empty.at_once(Resources(), workers=4) == GROWTH // 4
    assert Cluster({"CPU": 1000.0}, local=False).at_once(Resources()) == 1000


@pytest.mark.usefixtures("local_ray")
def test_a_local_ray_turns_strangers_away():
    address = ray.get_runtime_context().gcs_address
    command = [sys.executable, "-c", f"import ray; ray.init({address!r}, logging_level='ERROR')"]
    stranger = {key: value for key, value in os.environ.items() if not key.startswith("RAY_AUTH")}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**stranger, "RAY_AUTH_TOKEN": "guessed"}
    )
    assert done.returncode != 0
    assert "InvalidAuthToken" in done.stderr

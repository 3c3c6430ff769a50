"""The cluster's door: a study submitted as a job to a Ray that is there, on ports and in a folder of its own."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator.campaign import Campaign
from orchestrator.store.lock import holder
from orchestrator.store.records import Status
from tests.e2e.processes import SECONDS, family, kill, ledger, until
from tests.orchestrator.cli.conftest import call, write_study
from tests.orchestrator.store.runs import Runs

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
RAY = [sys.executable, "-m", "ray.scripts.scripts"]
STUDY = {
    "name": "submitted",
    "detectors": [{"kind": "residual_cnn", "width": 4, "recipe": {"epochs": 2, "batch": 16}}],
    "train_generators": ["tconv"],
    "test_generators": ["bilinear"],
    "adaptations": ["recalibrate"],
}


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def environment() -> dict[str, str]:
    """Ours, without what the test session itself told Ray, and with the environment's Python first."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "TUNE_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**ours, "PATH": path, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}


def answers(url: str) -> bool:
    try:
        with closing(urllib.request.urlopen(url, timeout=5)):
            return True
    except OSError:
        return False


@pytest.fixture(scope="module")
def head() -> Iterator[str]:
    """The address of a Ray head's dashboard; only this Ray is ended, there may be others on the machine."""
    folder = tempfile.mkdtemp(prefix="ray-")  # short: Ray's sockets are in it
    port, dashboard, agent, metrics, client = free_ports(5)
    options = {
        "port": port,
        "dashboard-port": dashboard,
        "dashboard-agent-listen-port": agent,
        "metrics-export-port": metrics,
        "ray-client-server-port": client,
        "dashboard-host": "127.0.0.1",
        "node-ip-address": "127.0.0.1",
        "num-cpus": 2,
        "temp-dir": folder,
    }
    command = [*RAY, "start", "--head", "--block", *(f"--{key}={value}" for key, value in options.items())]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            address = f"http://127.0.0.1:{dashboard}"
            until(lambda: answers(f"{address}/api/jobs/"), process)
            yield address
        finally:
            kill(family(process.pid))
    shutil.rmtree(folder, ignore_errors=True)


def job(verb: str, address: str, *words: object) -> subprocess.CompletedProcess[str]:
    """``ray job`` with these words, and what it printed."""
    command = [*RAY, "job", verb, "--address", address, *map(str, words)]
    return subprocess.run(
        command, env=environment(), cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def test_a_submitted_study_runs_on_the_cluster_and_leaves_its_results_where_it_says(head, tmp_path, small_data):
    file = write_study(tmp_path, small_data, **STUDY)

    words = ("--working-dir", ".", "--metadata-json", '{"git": "0123456789ab"}', "--")
    done = job("submit", head, *words, "python", "-m", "orchestrator", "run", file)

    assert done.returncode == 0, done.stdout + done.stderr
    campaign = Campaign.open(file)
    records = ledger(campaign.storage)
    assert {record.status for record in records.values()} == {Status.DONE}
    assert Runs(campaign.target).count == 1 + len(records)
    (submission,) = set(re.findall(r"raysubmit_\w+", done.stdout))
    told = {(record.provenance["ray_job"], record.provenance["git"]) for record in records.values()}
    assert told == {(submission, "0123456789ab")}
    lines = [line for line in done.stdout.splitlines() if "] done " in line or line.startswith("submitted: ")]
    assert lines[0] == f"submitted: {len(records)} cells to run"
    assert any("done train/residual_cnn/tconv/seed0" in line for line in lines)


def test_a_stopped_job_says_so_and_leaves_the_storage_free(head, tmp_path, small_data):
    detectors = [{"kind": "residual_cnn", "width": 4, "recipe": {"epochs": 2000, "batch": 16}}]
    file = write_study(tmp_path, small_data, **{**STUDY, "detectors": detectors})
    submitted = job(
        "submit", head, "--working-dir", ".", "--no-wait", "--", "python", "-m", "orchestrator", "run", file
    )
    (submission,) = set(re.findall(r"raysubmit_\w+", submitted.stdout))
    until(lambda: Campaign.open(file).status().running)

    stopped = job("stop", head, submission)

    assert stopped.returncode == 0, stopped.stderr
    logs = job("logs", head, submission).stdout
    assert "interrupted: what is done is kept, and the same command takes up the rest" in logs
    assert "Traceback" not in logs
    assert holder(tmp_path / "results") is None
    assert "submitted: interrupted" in call("status", file).stdout

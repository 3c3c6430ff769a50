"""One driver a storage."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from orchestrator.store.lock import DriverLock, holder
from trainables.errors import InputError

HOLD = """
import sys, time
from pathlib import Path
from orchestrator.store.lock import DriverLock

with DriverLock(Path(sys.argv[1]), "demo"):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def test_the_second_driver_is_refused_and_told_who_is_first(tmp_path, start):
    first = start(HOLD, tmp_path, 60)
    first.stdout.readline()

    with pytest.raises(InputError, match="in use by") as error, DriverLock(tmp_path, "smoke"):
        pass

    message = str(error.value)
    assert f"pid {first.pid} on {socket.gethostname()} since" in message
    assert "demo" in message
    assert "another `storage`" in message


def test_two_drivers_in_one_process_are_refused_too(tmp_path):
    with DriverLock(tmp_path, "a"), pytest.raises(InputError), DriverLock(tmp_path, "b"):
        pass


def test_a_refused_driver_leaves_the_first_ones_card(tmp_path, start):
    first = start(HOLD, tmp_path, 60)
    first.stdout.readline()
    with pytest.raises(InputError), DriverLock(tmp_path, "smoke"):
        pass

    assert holder(tmp_path)["pid"] == first.pid


def test_a_dead_drivers_lock_is_taken_over_and_told(tmp_path, start):
    first = start(HOLD, tmp_path, 60)
    first.stdout.readline()
    first.kill()
    first.wait()

    assert holder(tmp_path) is None
    with DriverLock(tmp_path, "demo") as lock:
        assert lock.died["pid"] == first.pid
        assert lock.died["study"] == "demo"
    with DriverLock(tmp_path, "demo") as lock:
        assert lock.died is None


def test_a_driver_waits_for_one_that_is_just_leaving(tmp_path, start):
    first = start(HOLD, tmp_path, 0.3)
    first.stdout.readline()

    with DriverLock(tmp_path, "demo") as lock:
        assert lock.died is None


def test_holder_tells_whether_a_driver_is_alive(tmp_path):
    assert holder(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    with DriverLock(tmp_path, "demo"):
        found = holder(tmp_path)
        assert (found["pid"], found["study"], found["host"]) == (os.getpid(), "demo", socket.gethostname())
    assert holder(tmp_path) is None


def test_the_lock_is_free_after_an_error(tmp_path):
    with pytest.raises(RuntimeError), DriverLock(tmp_path, "demo"):
        raise RuntimeError("the run failed")

    with DriverLock(tmp_path, "demo") as lock:
        assert lock.died is None


SPAWN_AND_DIE = """
import os, signal, subprocess, sys
from pathlib import Path
from orchestrator.store.lock import DriverLock

with DriverLock(Path(sys.argv[1]), "demo"):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(child.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_that_outlive_a_killed_driver_do_not_keep_its_lock(tmp_path):
    # As Ray's do for a while.
    script = tmp_path / "driver.py"
    script.write_text(SPAWN_AND_DIE)
    out = tmp_path / "out"
    with out.open("w") as sink:
        subprocess.run([sys.executable, script, tmp_path], stdout=sink, check=False)
    child = int(out.read_text())
    try:
        with DriverLock(tmp_path, "demo") as lock:
            assert lock.died is not None
    finally:
        os.kill(child, 9)

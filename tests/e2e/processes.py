"""Real processes: the command line in one of its own, and the processes that a Ray of its own started (Linux)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from orchestrator.store.ledger import Ledger
from orchestrator.store.records import Record

SECONDS = 150.0
"""Patience with a run that takes 20 s on a quiet machine."""

T = TypeVar("T")


@contextmanager
def orchestrator(*words: object) -> Iterator[subprocess.Popen[str]]:
    """``orchestrator`` with these words in a process of its own, which is gone when the block ends."""
    command = [sys.executable, "-m", "orchestrator", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            own = family(process.pid)
            process.kill()
            kill(own)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a process that ends, but for the count of images it read."""
    printed, errors = process.communicate(timeout=SECONDS)
    return process.returncode, printed, re.sub(r"^reading images: .*\n", "", errors, flags=re.MULTILINE)


def run(*words: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of ``orchestrator run`` with these words."""
    with orchestrator("run", *words) as process:
        return finish(process)


def until(what: Callable[[], T], process: subprocess.Popen[str] | None = None) -> T:
    """The first true value of ``what``, asked again and again while the process is alive."""
    end = time.monotonic() + SECONDS
    while not (value := what()):
        assert process is None or process.poll() is None, f"ended: {process.communicate()}"
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.05)
    return value


def ledger(storage: Path) -> dict[str, Record]:
    """The records of a storage, by the names of their cells."""
    return {record.name: record for record in Ledger(storage).records().values()}


def family(pid: int) -> list[int]:
    """The process, its children, and theirs."""
    children: dict[int, list[int]] = {}
    for child in _processes():
        children.setdefault(_parent(child), []).append(child)
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


def title(pid: int) -> str:
    """The command line of a process, as Ray words it for its workers: ``ray::…`` at work, ``ray::IDLE``."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def alive(pids: list[int]) -> list[int]:
    """Those that have not ended."""
    return [pid for pid in pids if _state(pid) not in ("", "Z", "X")]


def kill(pids: list[int]) -> None:
    """End these processes at once."""
    for pid in alive(pids):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _parent(pid: int) -> int:
    return int((_stat(pid) or ["", "0"])[1])


def _state(pid: int) -> str:
    return (_stat(pid) or [""])[0]

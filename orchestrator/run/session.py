"""A connection to Ray: the local machine, or a cluster that is there."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.run.stop import keeping_handlers
from orchestrator.study.resources import Resources, StageResources
from trainables.errors import InputError

ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "2",  # every trial is a new thread; with an arena each, a warm process grows past 2 GB
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "3600",  # a cluster may have to start the nodes first
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends the run; the next one resumes from the ledger
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # Tune's own state is never restored
    "TUNE_WARN_THRESHOLD_S": "60",
}

REACHABLE_WITHIN = 5.0
"""Seconds."""

GROWTH = 64
"""Cells that a cluster is asked to run at once, however small it is now: what waits makes its autoscaler add nodes."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a run has to work with.

    Attributes:
        total: CPUs, GPUs and so on of the nodes that are there now.
        local: whether it is this machine alone, which cannot grow.
    """

    total: Mapping[str, float]
    local: bool

    def at_once(self, resources: Resources, workers: int = 1) -> int:
        """How many cells of these resources may be out at a time."""
        wanted = {"CPU": resources.cpus * workers, "GPU": resources.gpus * workers}
        fits = min(int(self.total.get(name, 0.0) / each) for name, each in wanted.items() if each)
        return max(1, fits if self.local else max(fits, GROWTH // workers))


@contextmanager
def connected(address: str | None, resources: StageResources) -> Iterator[Cluster]:
    """Ray for the time of a run.

    Args:
        address: of a cluster; None for the one this process was submitted to, else a local Ray.
        resources: the largest request must fit this machine, where there is no cluster.

    Raises:
        InputError: no cluster answers at the address, or a cell asks for more than the local machine has.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    with nullcontext() if ray.is_initialized() else _own(address):
        cluster = Cluster(ray.cluster_resources(), _is_local(address))  # type: ignore[no-untyped-call]
        if cluster.local:
            _check_fit(resources, cluster.total)
        yield cluster


def _is_local(address: str | None) -> bool:
    return address is None and "RAY_ADDRESS" not in os.environ


@contextmanager
def _own(address: str | None) -> Iterator[None]:
    import ray

    with keeping_handlers():  # Ray would answer SIGTERM itself
        _connect(address)
    # Which of its processes died, Ray prints whatever its log level; the run tells which cells that concerns.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        try:
            yield
        finally:
            ray.shutdown()


def _connect(address: str | None) -> None:
    import ray

    options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if _is_local(address):
        _lock_the_door()
        ray.init(include_dashboard=False, **options)
        return
    if address and not _answers(address):
        raise InputError(
            "no Ray cluster answers", where="--address", value=address, fix="start one, or leave --address out"
        )
    ray.init(address=address, **options)


def _lock_the_door() -> None:
    """Ray's ports are open to the network; what does not know this run's token is turned away.

    ``ray.init`` turns token authentication on where nothing else is said; with a token given it writes none to disk.
    """
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def _answers(address: str) -> bool:
    """Whether anything listens at ``host:port`` or ``ray://host:port``; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return address in ("auto", "local")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACHABLE_WITHIN).close()
    except OSError:
        return False
    return True


def _check_fit(resources: StageResources, total: Mapping[str, float]) -> None:
    for stage in ("audit", "train", "adapt", "attack", "analyse"):
        wanted = resources.of(stage)
        workers = wanted.workers if stage in ("train", "adapt") else 1
        for name, each in (("CPU", wanted.cpus), ("GPU", wanted.gpus)):
            if each * workers > total.get(name, 0.0):
                raise InputError(
                    f"a cell asks for more {name}s than this machine has ({total.get(name, 0):g})",
                    where=f"resources.{stage}",
                    value=f"{workers} workers with {each:g} {name} each",
                    fix="lower it, or run on a cluster with --address",
                )

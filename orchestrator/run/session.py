"""A connection to Ray: the local machine, or a cluster that is there."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

from orchestrator.run.stop import keeping_handlers
from orchestrator.study.model import StageResources
from trainables.errors import InputError

ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",  # a local Ray listens on loopback only; a cluster's own setting wins
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "300",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C ends the run; the next one resumes from the ledger
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # Tune's own state is never restored
    "TUNE_WARN_THRESHOLD_S": "60",
}

REACHABLE_WITHIN = 5.0
"""Seconds."""


@contextmanager
def connected(address: str | None, resources: StageResources) -> Iterator[Mapping[str, float]]:
    """Ray for the time of a run; yields the cluster's resources.

    Args:
        address: of a cluster; None for the one this process was submitted to, else a local Ray.
        resources: the largest request must fit.

    Raises:
        InputError: no cluster answers at the address, or a cell asks for more than the local machine has.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import ray

    with nullcontext() if ray.is_initialized() else _own(address):
        cluster: Mapping[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        if address is None and "RAY_ADDRESS" not in os.environ:
            _check_fit(resources, cluster)
        yield cluster


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
    if address is None and "RAY_ADDRESS" not in os.environ:
        ray.init(include_dashboard=False, **options)
        return
    if address and not _answers(address):
        raise InputError(
            "no Ray cluster answers", where="--address", value=address, fix="start one, or leave --address out"
        )
    ray.init(address=address, **options)


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


def _check_fit(resources: StageResources, cluster: Mapping[str, float]) -> None:
    for stage in ("train", "adapt", "attack", "analyse"):
        wanted = resources.of(stage)
        for name, each in (("CPU", wanted.cpus), ("GPU", wanted.gpus)):
            total = each * wanted.workers if stage in ("train", "adapt") else each
            if total > cluster.get(name, 0.0):
                raise InputError(
                    f"a cell asks for more {name}s than this machine has ({cluster.get(name, 0):g})",
                    where=f"resources.{stage}",
                    value=f"{wanted.workers} workers with {each:g} {name} each",
                    fix="lower it, or run on a cluster with --address",
                )

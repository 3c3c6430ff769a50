"""The pages in which a study's results can be browsed."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from functools import partial

from orchestrator.store.target import Target
from orchestrator.study.checks import without_password
from orchestrator.study.model import Study
from trainables.errors import InputError

HOST = "127.0.0.1"


def browse(study: Study, port: int) -> tuple[str, Callable[[], int] | None]:
    """The address of the study's MLflow pages, and what serves them; None where a server does already.

    Raises:
        InputError: nothing is logged yet, or the port is taken.
    """
    target = Target.of(study.name, study.storage, study.tracking.uri, study.tracking.experiment)
    command = target.ui_command(port)
    if not command:
        return without_password(target.uri), None
    if target.database and not target.database.is_file():
        fix = "orchestrator run STUDY, or orchestrator report STUDY --replay-tracking"
        raise InputError("nothing is logged to MLflow yet", where="tracking", value=str(target.database), fix=fix)
    _refuse_taken(port)
    return f"http://{HOST}:{port}", partial(subprocess.call, command, env={**os.environ, **target.ui_environment})


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise InputError(
                "the port cannot be used", where="--port", value=port, fix=f"choose another ({error.strerror})"
            ) from None

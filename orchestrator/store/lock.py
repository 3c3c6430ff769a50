"""One driver a storage."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from trainables.errors import InputError
from trainables.writing import write_json

# Longer than the moment for which `holder` looks at the lock.
_PATIENCE = 1.0


class DriverLock:
    """Held by the one process that may write a storage's ledger; the system frees it when that process dies.

    Args:
        root: the storage folder.
        study: told to whoever finds the lock taken.

    Attributes:
        died: what a previous driver said of itself, if it ended without giving the lock back; else None.

    Raises:
        InputError: on entering, if another driver holds the lock.
    """

    def __init__(self, root: Path, study: str) -> None:
        self._root = root
        self._study = study
        self._lock = FileLock(_lock_file(root))
        self.died: Mapping[str, Any] | None = None

    def __enter__(self) -> Self:
        self._root.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=_PATIENCE, poll_interval=0.02)
        except Timeout:
            raise self._taken() from None
        self.died = _card(self._root)
        started = datetime.now(UTC).isoformat(timespec="seconds")
        card = {"host": socket.gethostname(), "pid": os.getpid(), "study": self._study, "started": started}
        write_json(_card_file(self._root), card)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        _card_file(self._root).unlink(missing_ok=True)
        self._lock.release()

    def _taken(self) -> InputError:
        card = _card(self._root) or {}
        driver = f"driver pid {card['pid']} on {card['host']} since {card['started']}" if card else "another driver"
        return InputError(
            f"the storage is in use by {driver}",
            where=str(self._root),
            value=f"study {card['study']}" if card else None,
            fix="wait until it ends, or use another `storage`",
        )


def holder(root: Path) -> Mapping[str, Any] | None:
    """What the driver at work in a storage says of itself (host, pid, study, started); None if none is alive."""
    try:
        handle = os.open(_lock_file(root), os.O_RDONLY)
    except OSError:
        return None
    try:
        # The lock itself is asked, not the process table: the driver may be on another node, or in a container.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _card(root) or {}
    finally:
        os.close(handle)
    return None


def _lock_file(root: Path) -> Path:
    return root / "driver.lock"


def _card_file(root: Path) -> Path:
    return root / "driver.json"


def _card(root: Path) -> Mapping[str, Any] | None:
    try:
        card: Mapping[str, Any] = json.loads(_card_file(root).read_text())
    except (OSError, ValueError):
        return None
    return card

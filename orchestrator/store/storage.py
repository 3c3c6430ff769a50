"""The place where a study's results are kept."""

from __future__ import annotations

import os
import re
from pathlib import Path

from trainables.errors import InputError
from trainables.writing import write_bytes

# A URI that has been through `Path` has lost a slash, and may have been put behind a folder.
_REMOTE = re.compile(r"(?:^|/)(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/")


def check_storage(location: Path | str) -> Path:
    """The storage folder, which may not exist yet; nothing is written.

    Raises:
        InputError: it is not a local path, not a folder, or cannot be written to.
    """
    folder = _local(str(location))
    existing = next(parent for parent in (folder, *folder.parents) if os.access(parent, os.F_OK))
    if not existing.is_dir():
        raise InputError("a file is where the storage folder should be", where="storage", value=str(existing))
    if not os.access(existing, os.W_OK | os.X_OK):
        raise _not_writable(folder, f"no permission to write in {existing}")
    return folder


def open_storage(location: Path | str) -> Path:
    """The storage folder, made if need be, after trying to write there.

    Raises:
        InputError: as ``check_storage``.
    """
    folder = check_storage(location)
    probe = folder / f".probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(probe, b"")
        probe.unlink()
    except OSError as error:
        raise _not_writable(folder, error.strerror or str(error)) from error
    return folder


def _local(location: str) -> Path:
    found = _REMOTE.search(location)
    if found is None:
        return Path(location).absolute()
    if found["scheme"].lower() != "file":
        raise InputError(
            f"storage on {found['scheme']}:// is not supported yet",
            where="storage",
            value=location,
            fix="use a local folder, or a network folder that all nodes mount at the same path",
        )
    return Path("/" + location[found.end() :].lstrip("/"))


def _not_writable(folder: Path, reason: str) -> InputError:
    return InputError(
        f"the storage folder is not writable: {reason}",
        where="storage",
        value=str(folder),
        fix="make it writable, or choose another `storage`",
    )

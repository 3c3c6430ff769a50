"""Files that are there as a whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from trainables.errors import InputError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def atomic(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write; it takes its name when the block ends well, and leaves no trace when it does not.

    Args:
        path: where it will be; its folder is made if it is not there.
        durable: whether it must survive a power cut (a file that is written anew every second need not).

    Raises:
        InputError: the disk is full, or the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                yield file
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Put a file in place, whole."""
    with atomic(path, durable=durable) as file:
        file.write(content)


def write_json(path: Path, value: object, *, durable: bool = True) -> None:
    """Put a JSON file in place, whole."""
    write_bytes(path, (json.dumps(value, indent=1, default=plain) + "\n").encode(), durable=durable)


def plain(value: Any) -> Any:
    """For ``json.dumps(default=…)``: a NumPy scalar as the Python number it holds."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form: {value!r}")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_temporaries(folder: Path) -> None:
    """Clear away what killed writers left half-written; only for the one who may write there."""
    for left in folder.glob(".*.tmp"):
        left.unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise InputError(
                f"the file could not be written, the disk is full ({error.strerror})",
                where=str(path),
                fix="free some space and run again: finished cells are kept",
            ) from error
        if error.errno in _CLOSED:
            raise InputError(
                f"the file could not be written ({error.strerror})",
                where=str(path),
                fix="make the folder writable, or choose another `storage`",
            ) from error
        raise

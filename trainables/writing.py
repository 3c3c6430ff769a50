"""Files that are there whole or not at all, and disks that are full or not ours to write on."""

from __future__ import annotations

import errno
import glob
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from trainables.errors import InputError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of a disk without room."""
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Within, a full disk or a file or folder that cannot be written is the user's to mend.

    Raises:
        InputError: instead of the OSError.
    """
    try:
        yield
    except OSError as error:
        where, found = str(place), error.strerror
        if error.errno in FULL:
            fix = "free some space and run again: what is finished is kept"
            raise InputError("the disk is full", where=where, value=found, fix=fix) from error
        if error.errno in _REFUSED:
            fix = "make the folder writable, or choose another"
            raise InputError("cannot write here", where=where, value=found, fix=fix) from error
        raise


@contextmanager
def atomic_file(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """A path beside ``path`` to write to; it takes the name ``path`` if all goes well, and is gone if not.

    Args:
        path: where it will be; its folder is made if it is not there.
        durable: whether it must survive a power cut (a file that is written anew every second need not).

    Raises:
        InputError: the disk is full, or the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            if durable:
                _sync(temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if durable:
            _sync(path.parent)


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Within, this process alone is; the others wait, and the operating system lets them in should it die.

    Args:
        lock: a file, which stays; its folder is made if it is not there.

    Raises:
        InputError: the disk is full, or the folder cannot be written to. An OSError from within stays what it is.
    """
    with ExitStack() as held:
        with writing(lock.parent):
            lock.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(lock))
        yield


def write_once(path: Path, write: Callable[[Path], None]) -> None:
    """Put a file in place, whole, unless it is there: of several processes one writes it, and the others wait.

    Args:
        path: where it will be; beside it stays the lock's file, with the ending ``.lock``.
        write: fills the file at the path that it is given.

    Raises:
        InputError: the disk is full, or the folder cannot be written to.
    """
    if path.exists():
        return
    with writing(path.parent), locked(path.with_suffix(".lock")):
        if not path.exists():
            remove_temporaries(path.parent, path.name)
            with atomic_file(path) as temporary:
                write(temporary)


def write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Put a file in place, whole."""
    with atomic_file(path, durable=durable) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: object, *, durable: bool = True) -> None:
    """Put a JSON file in place, whole."""
    write_bytes(path, (json.dumps(value, indent=1, default=plain) + "\n").encode(), durable=durable)


def plain(value: Any) -> Any:
    """For ``json.dumps(default=…)``: a NumPy scalar as the Python number it holds."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON form: {value!r}")


def remove_temporaries(folder: Path, name: str | None = None) -> None:
    """Clear away what killed writers of a file, or of all files, left half-written; only for who may write there."""
    of = "*" if name is None else glob.escape(name)
    for left in folder.glob(f".{of}.*.tmp"):
        left.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Make a file's bytes, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

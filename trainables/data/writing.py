"""Files that are there whole or not at all, and disks that are full or not ours to write on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trainables.errors import InputError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


@contextmanager
def writing_in(folder: Path) -> Iterator[None]:
    """Within, a full disk or a folder that cannot be written is the user's to mend.

    Raises:
        InputError: instead of the OSError.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise InputError("the disk is full", where=str(folder), value=str(error), fix="free some space") from error
        if error.errno in _REFUSED:
            fix = "choose a folder you may write to"
            raise InputError("cannot write here", where=str(folder), value=str(error), fix=fix) from error
        raise


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A path beside ``path`` to write to; it takes the name ``path`` if all goes well, and is gone if not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing_in(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

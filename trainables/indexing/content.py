"""The encoded bytes of an image, wherever it lies: in a file of its own, a .tar archive, an .arrow table.

Paths come from an index that ``Found`` was written to: the layouts have looked at links and at what a table lists. So
reading checks the path's words only, not once more where links lead.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from trainables.indexing.decode import UnusableImageError
from trainables.indexing.tar import Archive, read_at

if TYPE_CHECKING:
    from trainables.indexing.arrow import ArrowTable

LARGEST_CONTENT = 2**30
"""Bytes an encoded image may have: more than ``decode.LARGEST`` pixels take without compression."""

_OPEN_FILES = 64
_HOLDER = re.compile(r"\.(?:tar|arrow)(?=/)")


def read_content(root: Path, path: str, offset: int, size: int) -> bytes:
    """The bytes of an image.

    Archives and tables stay open from one call to the next, a few in each process, and are opened anew when they have
    changed. Threads and forked processes may call this at will.

    Args:
        root: the data folder.
        path, offset, size: from ``Found``.

    Raises:
        OSError: the file is gone or cannot be read.
        UnusableImageError: the row or member is not there any more; the path leaves the folder; the image is larger
            than ``LARGEST_CONTENT``.
    """
    if offset < 0:
        return read_file(root, path, size)[0]
    _refuse_large(size)
    held, status = _held(root, path)
    changed = (status.st_mtime_ns, status.st_size)
    if held.endswith(".arrow"):
        return _read_row(f"{root}/{held}", changed, path[len(held) + 1 :].rpartition("/")[0], offset)
    data = _archive(f"{root}/{held}", changed).read(offset, size)
    if len(data) < size:
        raise UnusableImageError(f"the archive {held} has changed: it ends before the image does")
    return data


def read_file(root: Path, path: str, size: int) -> tuple[bytes, int]:
    """The bytes of a file of its own, and when it was changed last, in nanoseconds since 1970.

    Of a file that has grown beyond ``size``, one byte more, which shows it.

    Raises:
        OSError, UnusableImageError: as ``read_content``.
    """
    _refuse_large(size)
    _refuse_climbing(path)
    # As nearly all images are files of their own: few system calls, and the time is that of the very file read.
    descriptor = os.open(f"{root}/{path}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return read_at(descriptor, size + 1, 0), os.fstat(descriptor).st_mtime_ns
    finally:
        os.close(descriptor)


def climbs(path: str, offset: int) -> bool:
    """Whether a path leads out of the data folder; within an archive or table, dots are only a name."""
    place = path if offset < 0 else _HOLDER.split(path, maxsplit=1)[0]
    return place.startswith("/") or ".." in place.split("/")


def holder(root: Path, path: str, offset: int) -> Path:
    """The file on disk that holds an image: the file itself, its archive, its table.

    Raises:
        OSError: of an image in an archive or table, which is gone.
        UnusableImageError: the path leaves the folder.
    """
    if offset < 0:
        _refuse_climbing(path)
        return root / path
    return root / _held(root, path)[0]


def row_path(table: str, column: str, row: int) -> str:
    """``Found.path`` of an image in a table: ``train/data-00000.arrow/image/17``."""
    return f"{table}/{column}/{row}"


def _held(root: Path, path: str) -> tuple[str, os.stat_result]:
    """The archive or table that a path leads into, below the root. Folders may be called x.tar too."""
    for match in _HOLDER.finditer(path):
        held = path[: match.end()]
        _refuse_climbing(held)
        status = os.stat(f"{root}/{held}")  # noqa: PTH116 (for every image)
        if stat.S_ISREG(status.st_mode):
            return held, status
    raise FileNotFoundError(errno.ENOENT, "the archive or table is gone", path)


def _refuse_climbing(path: str) -> None:
    if climbs(path, -1):
        raise UnusableImageError("the path leaves the data folder")


def _refuse_large(size: int) -> None:
    if size > LARGEST_CONTENT:
        raise UnusableImageError(f"{size} bytes: too large for an image")


def _read_row(file: str, changed: tuple[int, int], column: str, row: int) -> bytes:
    import pyarrow as pa

    try:
        data = _table(file, changed, column).read(row)
    except (pa.ArrowException, KeyError, IndexError) as error:
        raise UnusableImageError(f"the table {file} has changed: {error}") from error
    if data is None:
        raise UnusableImageError("the row holds no image")
    return data


# Time and size are part of the key, so that a file that has changed is opened anew.
@lru_cache(_OPEN_FILES)
def _archive(file: str, _changed: tuple[int, int]) -> Archive:
    return Archive(Path(file))


@lru_cache(_OPEN_FILES)
def _table(file: str, _changed: tuple[int, int], column: str) -> ArrowTable:
    from trainables.indexing.arrow import ArrowTable

    return ArrowTable(Path(file), column)

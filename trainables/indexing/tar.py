"""Uncompressed tar archives: where their members lie, and reading one of them without unpacking anything.

Nothing is ever written, so a member's name can do no harm: absolute names, ``..`` and links are only words here.
"""

from __future__ import annotations

import os
import tarfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from trainables.errors import InputError

_BLOCK = tarfile.BLOCKSIZE


class Member(NamedTuple):
    """A regular file in an archive.

    Attributes:
        name: as written in the archive; bytes that are not UTF-8 as ``\\udc..``.
        offset: byte of the archive at which its content begins.
        size: bytes.
    """

    name: str
    offset: int
    size: int


def members(file: Path) -> Iterator[Member]:
    """The regular files in an archive, in its order; links, devices, folders and sparse files are passed over.

    Raises:
        InputError: the file is compressed, is no tar archive, or is damaged or cut short.
    """
    try:
        with tarfile.open(file, "r:") as archive:
            while (member := archive.next()) is not None:
                # Or it would hold the headers of all members.
                archive.members = []  # type: ignore[attr-defined]
                if member.size < 0:
                    raise tarfile.ReadError("a member of negative size")
                if member.isreg() and not member.issparse():
                    yield Member(_name(member), member.offset_data, member.size)
            end = archive.offset
        _refuse_cut(file, end)
    except (tarfile.TarError, OSError, ValueError, OverflowError) as error:
        raise _no_archive(file, str(error)) from error


class Archive:
    """An archive that is open for reading; threads and forked processes may share it.

    Args:
        file: the archive.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, file: Path) -> None:
        self._descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        # Not on eviction from a cache, where another thread may be reading, but with the last reference.
        weakref.finalize(self, os.close, self._descriptor)

    def read(self, offset: int, size: int) -> bytes:
        """The bytes from there on; fewer than asked for at the end of the file."""
        return read_at(self._descriptor, size, offset)


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """The bytes of an open file from there on; fewer than asked for at its end only.

    One call of the system may give fewer, for example on network disks.
    """
    data = os.pread(descriptor, size, offset)
    while data and len(data) < size and (more := os.pread(descriptor, size - len(data), offset + len(data))):
        data += more
    return data


def _name(member: tarfile.TarInfo) -> str:
    """With no lone surrogates, which no table can be written with; two names never become one."""
    return member.name if member.name.isascii() else member.name.encode("utf-8", "backslashreplace").decode()


def _refuse_cut(file: Path, end: int) -> None:
    """An archive ends with a block of zeros; where it is missing, so may members be that were to come before it.

    Python's reader takes any damaged header but the first for the end of the archive.
    """
    with file.open("rb") as archive:
        archive.seek(end)
        if archive.read(_BLOCK) != bytes(_BLOCK):
            raise tarfile.ReadError(f"there is no end mark at byte {end}")


def _no_archive(file: Path, found: str) -> InputError:
    with file.open("rb") as archive:
        start = archive.read(6)
    if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        fix = "decompress it: images are compressed already, and single ones cannot be read from a compressed archive"
        return InputError("the archive is compressed", where=str(file), fix=fix)
    fix = "copy it again, or write it anew"
    return InputError("the archive is damaged, cut short, or no tar archive", where=str(file), value=found, fix=fix)

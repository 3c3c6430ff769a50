"""What is done: one record a cell, in files that are never changed.

The ledger is a folder of *segments*: ``00000007-3fa2c1.jsonl``, a line that tells how many records follow and then one
record a line. A commit adds one segment under the next number; the last record of a cell, in the order of the names,
is the one that counts. Nothing is ever appended to or overwritten, so the same form works on an object store.

Only the driver that holds the ``DriverLock`` writes. Anyone may read at any time, without a lock.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from pathlib import Path

from orchestrator.plan.cells import CellId
from orchestrator.store.records import Record
from trainables.errors import InputError
from trainables.writing import plain, remove_temporaries, write_bytes

_FORMAT = 1
_MANY = 16


class Ledger:
    """The records of all studies in one storage.

    Args:
        root: the storage folder; nothing is written there before the first commit.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / "ledger"
        self._records: dict[CellId, Record] = {}
        self._seen: set[str] = set()
        self._last = 0

    def records(self) -> dict[CellId, Record]:
        """The last record of every cell, as of now.

        Raises:
            InputError: a segment is damaged; the message names it.
        """
        self.refresh()
        return dict(self._records)

    def refresh(self) -> tuple[Record, ...]:
        """The records committed since the last look, by this ledger or another process."""
        found: list[Record] = []
        # Compaction may replace the segments while they are read. Then the next listing holds their replacement.
        while fresh := [name for name in self._names() if name not in self._seen]:
            for name in fresh:
                records = _read(self.folder / name)
                self._take(records)
                self._note(name)
                found += records
        return tuple(found)

    def commit(self, *records: Record) -> None:
        """Add records, all of them or none; when this returns they survive a crash.

        Raises:
            InputError: the disk is full or not writable.
        """
        if not self._seen:
            self.refresh()
        if records:
            self._write(records)
            self._take(records)

    def compact(self, many: int = _MANY) -> None:
        """Replace the segments by one, if there are ``many``; for the driver, before its first commit.

        A crash on the way leaves some records in two segments, which changes nothing.
        """
        remove_temporaries(self.folder)
        old = self._names()
        self.refresh()
        if len(old) < many:
            return
        self._write(self._records.values())
        for name in old:
            (self.folder / name).unlink(missing_ok=True)

    def _names(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("[0-9]*.jsonl"))

    def _take(self, records: Iterable[Record]) -> None:
        self._records.update((record.cell, record) for record in records)

    def _write(self, records: Iterable[Record]) -> None:
        name = f"{self._last + 1:08d}-{secrets.token_hex(3)}.jsonl"
        lines = [json.dumps(record.to_json(), separators=(",", ":"), default=plain) for record in records]
        header = json.dumps({"format": _FORMAT, "records": len(lines)})
        write_bytes(self.folder / name, "\n".join([header, *lines, ""]).encode())
        self._note(name)

    def _note(self, name: str) -> None:
        """This segment is known; the next one is numbered after it."""
        self._seen.add(name)
        self._last = max(self._last, int(name.split("-")[0]))


def _read(path: Path) -> list[Record]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []  # compacted in the meantime
    try:
        header, *lines = [json.loads(line) for line in content.splitlines()]
        form, count = header["format"], header["records"]
        if form == _FORMAT and count == len(lines):
            return [Record.from_json(line) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, str(error)) from error
    if form != _FORMAT:
        raise InputError("this ledger was written by another version", where=str(path), value=f"format {form}")
    raise _damaged(path, f"{len(lines)} of {count} records")


def _damaged(path: Path, found: str) -> InputError:
    return InputError(
        "this part of the ledger is damaged",
        where=str(path),
        value=found,
        fix="restore the file from a copy, or delete it: finished cells are found again by their folders",
    )

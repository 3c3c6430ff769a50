"""Arrow streams on disk, memory-mapped: the files in which Hugging Face `datasets` keeps its tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from trainables.errors import InputError

_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"


def schema(file: Path) -> pa.Schema:
    """The columns of a table.

    Raises:
        InputError: the file is no Arrow stream.
    """
    try:
        return _open(file).schema
    except (pa.ArrowException, OSError) as error:
        raise _no_stream(file, error) from error


def features(columns: pa.Schema) -> dict[str, dict[str, Any]]:
    """What `datasets` wrote of each column's kind, by name; empty if it wrote nothing."""
    written = (columns.metadata or {}).get(b"huggingface", b"{}")
    try:
        found = json.loads(written)["info"]["features"]
    except (ValueError, KeyError, TypeError):
        return {}
    return {name: kind for name, kind in found.items() if isinstance(kind, dict)} if isinstance(found, dict) else {}


def batches(file: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows, some at a time, checked: their offsets lead nowhere but into the file.

    Raises:
        InputError: the file is damaged or cut short.
    """
    try:
        with _open(file) as stream:
            for batch in stream:
                chosen = batch.select(list(columns))
                chosen.validate(full=True)
                yield chosen
        _refuse_cut(file)
    except (pa.ArrowException, OSError) as error:
        raise _no_stream(file, error) from error


def holds_encoded(kind: pa.DataType) -> bool:
    """Whether a column may hold encoded images: bytes, or bytes and a path."""
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _is_binary(kind.field("bytes").type)
    return _is_binary(kind)


def encoded(column: pa.Array) -> pa.Array:
    """The bytes of a column of images; null where there are none."""
    return pc.struct_field(column, "bytes") if pa.types.is_struct(column.type) else column


class ArrowTable:
    """A column of images, any row of which can be read; threads and forked processes may share it.

    The file may be replaced while it is open, and the old rows are read on. If it is cut short in place, the
    operating system ends the process that reads beyond the new end.

    Args:
        file: whose rows ``batches`` has checked.
        column: of images.

    Raises:
        OSError: it cannot be opened.
        ArrowException, KeyError: it is no such table.
    """

    def __init__(self, file: Path, column: str) -> None:
        position = _open(file).schema.get_field_index(column)
        if position < 0:
            raise KeyError(column)
        only = pa.ipc.IpcReadOptions(included_fields=[position])
        self._rows = _open(file, only).read_all().column(0)

    def read(self, row: int) -> bytes | None:
        """The bytes of an image; None if there are none.

        Raises:
            IndexError: there is no such row.
        """
        value = self._rows[row]
        if pa.types.is_struct(self._rows.type):
            value = value["bytes"] if value.is_valid else None
        return value.as_buffer().to_pybytes() if value is not None and value.is_valid else None


def _open(file: Path, options: pa.ipc.IpcReadOptions | None = None) -> pa.RecordBatchStreamReader:
    return pa.ipc.open_stream(pa.memory_map(str(file)), options=options)


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _refuse_cut(file: Path) -> None:
    """A stream ends with a mark; Arrow's reader also takes the end of the file for its end."""
    with file.open("rb") as stream:
        stream.seek(-len(_END), 2)
        if stream.read() != _END:
            raise OSError("the stream has no end mark")


def _no_stream(file: Path, error: Exception) -> InputError:
    fix = "copy it again, or save the data set anew with `save_to_disk`"
    return InputError("the file is damaged, cut short, or no Arrow stream", where=str(file), value=str(error), fix=fix)

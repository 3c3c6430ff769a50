"""What is known of the images of a folder from one call to the next: a Parquet file, and parts of one in the making."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_type_hints

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trainables.indexing.decode import READER_VERSION
from trainables.indexing.examine import FACTS_VERSION, Facts
from trainables.indexing.found import Found
from trainables.writing import atomic_file, remove_temporaries

KEY = ("path", "offset", "bytes", "modified")
"""The columns that say which image is meant, and that it has not changed since it was read."""

_STAMP = b"images of"
_ROW_GROUP = 65_536
_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64()}


def columns_of(row: type) -> pa.Schema:
    """The fields of a NamedTuple as Arrow columns."""
    return pa.schema([(name, _TYPES[kind]) for name, kind in get_type_hints(row).items()])


FOUND, FACTS = columns_of(Found), columns_of(Facts)
INDEX = pa.schema([*FOUND, *FACTS])
READ = pa.schema([*(FOUND.field(name) for name in KEY), *FACTS])


@dataclass(frozen=True, slots=True)
class Kept:
    """The file, and beside it the folder of parts.

    Args:
        file: where the index is kept.
        root: the data folder; what is kept of another one is not believed.
        layout: registry name, kept along.
    """

    file: Path
    root: Path
    layout: str

    @property
    def parts(self) -> Path:
        """Folder of what an interrupted call had read."""
        return self.file.with_name(f"{self.file.name}.parts")

    @property
    def lock(self) -> Path:
        """Held by who reads images for this index."""
        return self.file.with_name(f".{self.file.name}.lock")

    def index(self) -> pa.Table | None:
        """The index as it was last kept; None if there is none that can be believed."""
        return self._load(self.file, INDEX)

    def known(self, index: pa.Table | None) -> pa.Table:
        """``KEY`` and facts of every image that was ever read; of one with several rows, the latest comes first.

        Rows without a digest are left out: the file could not be read, which may have been mended since.
        """
        newest_first = sorted(self.parts.glob("*.parquet"), reverse=True)
        tables = [self._load(part, READ) for part in newest_first]
        tables.append(None if index is None else index.select(READ.names))
        known = pa.concat_tables([READ.empty_table(), *(table for table in tables if table is not None)])
        return known.filter(pc.not_equal(known["digest"], ""))

    def save(self, part: pa.Table) -> None:
        """Keep what was just read, ``KEY`` and facts, so that an interrupted call goes on from there.

        Raises:
            InputError: the disk is full, or the folder cannot be written to.
        """
        # Names sort by time, and no other call's part is ever overwritten.
        self._write(self.parts / f"{time.time_ns():020d}.parquet", part)

    def replace(self, index: pa.Table) -> None:
        """Keep this index, whole or not at all; the parts have served.

        Raises:
            InputError: as ``save``.
        """
        self._write(self.file, index)
        self.clear()

    def clear(self) -> None:
        """Remove the parts, and what killed writers left; only under the lock."""
        shutil.rmtree(self.parts, ignore_errors=True)
        remove_temporaries(self.file.parent, self.file.name)

    def _write(self, file: Path, table: pa.Table) -> None:
        with atomic_file(file) as temporary:
            pq.write_table(table.replace_schema_metadata(self._stamp), temporary, row_group_size=_ROW_GROUP)

    def _load(self, file: Path, schema: pa.Schema) -> pa.Table | None:
        try:
            stored = pq.read_schema(file)
            if stored.metadata is None or stored.metadata.get(_STAMP) != self._stamp[_STAMP]:
                return None
            table = pq.read_table(file, columns=schema.names, memory_map=False)
        except (OSError, ValueError, KeyError):  # pa.ArrowInvalid is a ValueError: cut short, or not Parquet at all
            return None
        return table.replace_schema_metadata(None) if table.schema.equals(schema) else None

    @property
    def _stamp(self) -> dict[bytes, bytes]:
        said = {"root": str(self.root), "reader": READER_VERSION, "facts": FACTS_VERSION}
        return {_STAMP: json.dumps(said).encode(), b"layout": self.layout.encode()}


def rows_to_batch(rows: Sequence[Sequence[object]], schema: pa.Schema) -> pa.RecordBatch:
    """NamedTuples, at least one, as columns."""
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)

"""Rows of a CSV or Parquet file, read a few thousand at a time: tables of a million rows take little memory."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from trainables.errors import InputError

ENDINGS = (".csv", ".parquet")
_BATCH = 8192

Row = Mapping[str, object]


def is_parquet(file: Path) -> bool:
    return file.suffix.lower() == ".parquet"


def column_names(file: Path) -> list[str]:
    """The columns of a table.

    Raises:
        InputError: the file is absent, empty, no table, or has two columns of one name.
    """
    with _readable(file):
        names = _parquet_columns(file) if is_parquet(file) else next(_csv_lines(file), (0, []))[1]
    if not names:
        raise InputError("the table is empty", where=str(file), fix="its first line names its columns")
    for name in names:
        if names.count(name) > 1:
            raise InputError("two columns have one name", where=str(file), value=name, fix="rename one of them")
    return names


def read_rows(file: Path, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """Every row, as values by column, with the words for where it is.

    Values of CSV are text. Lines of CSV count from 1, the header; rows of Parquet count from 1, the first row.

    Args:
        file: ends in ``.parquet``, or else is read as CSV: UTF-8, commas, values with commas or newlines in quotes.
        columns: those that are read.

    Raises:
        InputError: the file is damaged, is not UTF-8, or a line has more or fewer values than there are columns.
    """
    with _readable(file):
        yield from _parquet_rows(file, columns) if is_parquet(file) else _csv_rows(file, columns)


def _csv_rows(file: Path, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    lines = _csv_lines(file)
    _, header = next(lines, (0, []))
    positions = [(name, header.index(name)) for name in columns]
    for number, cells in lines:
        if len(cells) != len(header):
            problem = f"{len(cells)} values under {len(header)} columns"
            fix = "put a value that has a comma in it in double quotes"
            raise InputError(problem, where=f"{file}: line {number}", value=",".join(cells)[:200], fix=fix)
        yield f"line {number}", {name: cells[position] for name, position in positions}


def _csv_lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    with file.open(encoding="utf-8-sig", newline="") as text:
        lines = csv.reader(text, strict=True)
        header = next(lines, None)
        if header is None:
            return
        yield 1, [name.strip() for name in header]
        for cells in lines:
            if cells:
                yield lines.line_num, cells


def _parquet_columns(file: Path) -> list[str]:
    import pyarrow.parquet as pq

    return list(pq.read_schema(file).names)


def _parquet_rows(file: Path, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    import pyarrow.parquet as pq

    number = 0
    with pq.ParquetFile(file) as table:
        for batch in table.iter_batches(batch_size=_BATCH, columns=list(columns)):
            values = [batch.column(name).to_pylist() for name in columns]
            for row in zip(*values, strict=True):
                number += 1
                yield f"row {number}", dict(zip(columns, row, strict=True))


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Whatever the readers raise becomes ``InputError``."""
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError("there is no such table", where=str(file), fix="correct `table`") from error
    except UnicodeDecodeError as error:
        fix = "save it as UTF-8"
        raise InputError("the table is not UTF-8", where=str(file), value=str(error), fix=fix) from error
    except (csv.Error, pa.ArrowException, OSError, ValueError) as error:
        kind = "Parquet" if is_parquet(file) else "comma-separated values"
        raise InputError(f"the file is no table of {kind}", where=str(file), value=str(error)) from error

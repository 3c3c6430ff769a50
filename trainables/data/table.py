"""``manifest.csv``: what the maker of a data folder says of its images, checked against the folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from trainables.contract import Split
from trainables.errors import InputError, nearest

FAMILIES = ("real", "gan", "dm", "fake")
GIVEN = ("label", "generator", "family", "source", "group", "split")
"""Columns the table may have beside ``path``; a blank cell says nothing."""


def read_table(file: Path) -> pd.DataFrame:
    """The table, indexed by path, every column of ``GIVEN`` present and blank where nothing is said.

    Raises:
        InputError: it is no such table, a path leaves the folder or comes twice, a value is not one of those allowed.
    """
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    except (ValueError, OSError) as error:
        raise InputError("not a table of comma-separated values", where=str(file), value=str(error)) from error
    if "path" not in table:
        fix = "its columns are path," + ",".join(GIVEN)
        raise InputError("the table has no column `path`", where=str(file), value=list(table), fix=fix)
    for path in table["path"]:
        if path.startswith("/") or ".." in path.split("/"):
            raise InputError("a path leaves the data folder", where=str(file), value=path)
    _refuse_repeated(table["path"], file)
    _check_values(table, "split", [split.value for split in Split], file)
    _check_values(table, "family", FAMILIES, file)
    return table.set_index("path").reindex(columns=list(GIVEN), fill_value="")


def check_against_folder(table: pd.DataFrame, found: pd.DataFrame, file: Path) -> None:
    """Whether the table and the folder are about the same files and say the same of them.

    Args:
        table: from ``read_table``.
        found: one row a file, indexed by path, with ``label`` and ``generator`` from the folders.
        file: the table's own file, for the messages.

    Raises:
        InputError: a listed file is not there; a label or generator is not that of the file's folder.
    """
    missing = table.index.difference(found.index)
    if len(missing):
        problem = f"{len(missing)} listed files are not in `real/<source>/` or `fake/<generator>/`"
        raise InputError(problem, where=str(file), value=list(missing[:5]), fix="correct the table, or add the files")
    folders = found.loc[table.index]
    for column in ("label", "generator"):
        wrong = table.index[(table[column] != "") & (table[column] != folders[column].astype(str))]
        if len(wrong):
            problem = f"the {column} of {wrong[0]} is not that of its folder"
            fix = f"label 0 is real, 1 is fake; the folder says {folders[column].loc[wrong[0]]}"
            raise InputError(problem, where=str(file), value=table[column].loc[wrong[0]], fix=fix)


def _refuse_repeated(paths: pd.Series[str], file: Path) -> None:
    repeated = paths[paths.duplicated()]
    if len(repeated):
        raise InputError("a file is listed twice", where=str(file), value=repeated.iloc[0])


def _check_values(table: pd.DataFrame, column: str, allowed: Iterable[str], file: Path) -> None:
    known = set(allowed)
    for value in set(table.get(column, pd.Series(dtype=str))) - known - {""}:
        raise InputError(f"unknown {column}", where=str(file), value=value, fix=nearest(value, known))

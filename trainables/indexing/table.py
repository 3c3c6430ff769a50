"""``manifest.csv``: what the maker of a data folder says of its images, checked against the folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from trainables.contract import Split
from trainables.errors import InputError, nearest
from trainables.indexing.found import Found

FAMILIES = ("real", "gan", "dm", "fake")
GIVEN = ("label", "generator", "family", "source", "group", "split", "channel")
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


class Table:
    """The table of a folder ``real/<source>/…``, ``fake/<generator>/…``, looked up image by image.

    Its columns are held as codes: a million rows of few distinct values take little more than their paths.

    Raises:
        InputError: as ``read_table``.
    """

    def __init__(self, file: Path) -> None:
        table = read_table(file)
        self.file = file
        self._row = {path: row for row, path in enumerate(table.index)}
        self._columns = {name: pd.factorize(table[name]) for name in GIVEN}
        self._met = np.zeros(len(table), bool)
        self._families = _families_by_generator(table)

    def complete(self, found: Found) -> Found:
        """The image with what the table says of it.

        One that is new to the table, or has no family there, is of the family of its generator's other images.

        Raises:
            InputError: the table says another label or generator than the folder.
        """
        family = self._families.get(found.generator, "")
        row = self._row.get(found.path)
        if row is None:
            return found._replace(family=family)
        self._met[row] = True
        said = {name: str(values[codes[row]]) for name, (codes, values) in self._columns.items()}
        self._refuse_contradiction(found, said["label"], said["generator"])
        return found._replace(
            family=said["family"] or family,
            source=said["source"],
            part=said["split"],
            group=said["group"],
            channel=said["channel"],
        )

    def finish(self) -> None:
        """To be called after the last image.

        Raises:
            InputError: images are listed that were not in the folder.
        """
        missing = sorted(path for path, row in self._row.items() if not self._met[row])
        if missing:
            problem = f"{len(missing)} listed files are not in `real/<source>/` or `fake/<generator>/`"
            fix = "correct the table, or add the files"
            raise InputError(problem, where=str(self.file), value=missing[:5], fix=fix)

    def _refuse_contradiction(self, found: Found, label: str, generator: str) -> None:
        for column, said, here in (("label", label, str(found.label)), ("generator", generator, found.generator)):
            if said not in ("", here):
                problem = f"the {column} of {found.path} is not that of its folder"
                fix = f"label 0 is real, 1 is fake; the folder says {here}"
                raise InputError(problem, where=str(self.file), value=said, fix=fix)


def _families_by_generator(table: pd.DataFrame) -> dict[str, str]:
    """The first family that is said of each generator's images, by the second folder of their paths."""
    families: dict[str, str] = {}
    said = table["family"][table["family"] != ""]
    for path, family in said.items():
        parts = str(path).split("/", 2)
        if len(parts) == 3:
            families.setdefault(parts[1], str(family))
    return families


def _refuse_repeated(paths: pd.Series[str], file: Path) -> None:
    repeated = paths[paths.duplicated()]
    if len(repeated):
        raise InputError("a file is listed twice", where=str(file), value=repeated.iloc[0])


def _check_values(table: pd.DataFrame, column: str, allowed: Iterable[str], file: Path) -> None:
    known = set(allowed)
    for value in set(table.get(column, pd.Series(dtype=str))) - known - {""}:
        raise InputError(f"unknown {column}", where=str(file), value=value, fix=nearest(value, known))

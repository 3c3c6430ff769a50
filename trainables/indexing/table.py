"""``manifest.csv``: what the maker of a data folder says of its images, checked against the folder."""

from __future__ import annotations

import sys
from pathlib import Path

from trainables.errors import InputError
from trainables.indexing.found import Found
from trainables.indexing.labelling import labelled_image, word
from trainables.indexing.rows import Row, column_names, read_rows

GIVEN = ("label", "generator", "family", "source", "group", "split", "channel")
"""Columns the table may have beside ``path``; a blank cell says nothing."""


class Table:
    """The table of a folder ``real/<source>/…``, ``fake/<generator>/…``, looked up image by image.

    Equal rows are held once: a million rows of few distinct values take little more than their paths.

    Raises:
        InputError: it is no such table, or a path leaves the folder or comes twice.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._columns = _columns(file)
        self._families: dict[str, str] = {}
        self._unmet: dict[str, tuple[str, ...]] = {}
        alike: dict[tuple[str, ...], tuple[str, ...]] = {}
        for _, row in read_rows(file, ["path", *self._columns]):
            path = str(row["path"])
            if path.startswith("/") or ".." in path.split("/"):
                raise InputError("a path leaves the data folder", where=str(file), value=path)
            if path in self._unmet:
                raise InputError("a file is listed twice", where=str(file), value=path, fix="remove one of the rows")
            said = tuple(sys.intern(word(row, name)) for name in self._columns)
            self._unmet[path] = alike.setdefault(said, said)
            self._note_family(path, row)

    def complete(self, found: Found) -> Found:
        """The image with what the table says of it; to be called once for each image.

        One that is new to the table, or has no family there, is of the first family that is said of its generator.

        Raises:
            InputError: the table says another label or generator than the folder, or a family or split of no known
                name.
        """
        said = dict(zip(self._columns, self._unmet.pop(found.path, ()), strict=False))
        self._refuse_contradiction(found, said)
        told = said | {
            "generator": found.generator,
            "family": said.get("family") or self._families.get(found.generator, ""),
        }
        try:
            return labelled_image(found.path, found.label, told, size=found.bytes, modified=found.modified)
        except InputError as error:
            raise error.at(str(self.file)) from None

    def finish(self) -> None:
        """To be called after the last image.

        Raises:
            InputError: images are listed that were not in the folder.
        """
        if self._unmet:
            problem = f"{len(self._unmet)} listed files are not in `real/<source>/` or `fake/<generator>/`"
            fix = "correct the table, or add the files"
            raise InputError(problem, where=str(self.file), value=sorted(self._unmet)[:5], fix=fix)

    def _note_family(self, path: str, row: Row) -> None:
        """A generator's name is the second folder of its images' paths."""
        parts = path.split("/", 2)
        if len(parts) == 3 and (family := word(row, "family")):
            self._families.setdefault(parts[1], family)

    def _refuse_contradiction(self, found: Found, said: Row) -> None:
        for column, here in (("label", str(found.label)), ("generator", found.generator)):
            if (there := said.get(column, "")) not in ("", here):
                problem = f"the {column} of {found.path} is not that of its folder"
                fix = f"label 0 is real, 1 is fake; the folder says {here}"
                raise InputError(problem, where=str(self.file), value=there, fix=fix)


def _columns(file: Path) -> list[str]:
    """The columns that are read, beside ``path``."""
    names = column_names(file)
    if "path" not in names:
        fix = "its columns are path," + ",".join(GIVEN)
        raise InputError("the table has no column `path`", where=str(file), value=names, fix=fix)
    return [name for name in GIVEN if name in names]

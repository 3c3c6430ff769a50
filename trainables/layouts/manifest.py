"""A table that lists the images: ``path,label,generator[,family,source,split,group,channel]``, as CSV or Parquet.

============  =============================================================================
column        what it says
============  =============================================================================
path          the file, below the data folder, with forward slashes
label         real or fake, in two labels of which ``fake_is`` names one
generator     of a fake its generator, of a real image its source
family        ``real``, ``gan``, ``dm`` or ``fake``
source        what a real image is of, or what a fake was learned from
split         ``train``, ``val``, ``test``, or a split of ours: ``adapt``, ``few``, ``fusion``
group         images with one name here stay in one split
channel       what the image has been through: ``facebook``, ``telegram``…
============  =============================================================================

The first three are needed; a blank value in another says nothing. Further columns are left alone.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from stat import S_ISLNK, S_ISREG
from typing import Literal

from pydantic import Field

from trainables.errors import InputError
from trainables.indexing.found import Found
from trainables.indexing.labelling import Labelled, Polarity, labelled_image, plain, word
from trainables.indexing.rows import ENDINGS, column_names, is_parquet, read_rows

Column = Literal["path", "label", "generator", "family", "source", "split", "group", "channel"]
NEEDED: tuple[Column, ...] = ("path", "label", "generator")
OPTIONAL: tuple[Column, ...] = ("family", "source", "split", "group", "channel")
_EXAMPLES = 5


class Config(Labelled):
    """Which table, and what its columns and labels mean.

    Attributes:
        table: relative to the data folder; ``manifest.csv`` or ``manifest.parquet`` there if not given.
        columns: what the table calls its columns, by our names: ``{path: file_name, label: is_fake}``.
    """

    table: Path | None = None
    columns: Mapping[Column, str] = Field(default_factory=dict)


def recognises(root: Path) -> bool:
    """Whether ``manifest.csv`` or ``.parquet`` lists paths and labels, and there are no ``real/`` and ``fake/``."""
    tables = [file for ending in ENDINGS if (file := root / f"manifest{ending}").is_file()]
    if not tables or ((root / "real").is_dir() and (root / "fake").is_dir()):
        return False
    try:
        return {"path", "label"} <= set(column_names(tables[0]))
    except InputError:
        return False


def scan(config: Config, root: Path) -> Iterator[Found]:
    """Every image that the table lists, in its order.

    Raises:
        InputError: no table, or several; a column is missing; a row's label, path, generator, family or split is
            blank, unknown or contradictory; a path comes twice or leaves the folder; listed files are absent (told
            at the end, all together).
    """
    file = _table(config, root)
    names = _names(config, file)
    polarity, files = Polarity(config), _Files(root)
    number = 0
    for number, (place, row) in enumerate(read_rows(file, list(names.values())), 1):  # noqa: B007
        try:
            found = _image({ours: row[theirs] for ours, theirs in names.items()}, polarity, files)
        except InputError as error:
            raise error.at(f"{file}: {place}") from None
        if found:
            yield found
    if not number:
        raise InputError("the table lists no images", where=str(file), fix="add a row for every image")
    files.refuse_absent(file)
    _finish(polarity, file)


def _image(row: Mapping[Column, object], polarity: Polarity, files: _Files) -> Found | None:
    """The image of a row; None if its file is absent, which is told later."""
    label = polarity.label(row["label"])
    if not word(row, "generator"):
        fix = "name the generator of a fake, the source of a real image"
        raise InputError("the generator is blank", value=row["generator"], fix=fix)
    path = _path(row["path"])
    status = files.status(path)
    if status is None:
        return None
    return labelled_image(path, label, row, size=status.st_size, modified=status.st_mtime_ns)


def _path(written: object) -> str:
    """A path below the data folder, in its shortest form.

    Raises:
        InputError: it is blank, absolute, or climbs out of the folder.
    """
    if not isinstance(written, str) or not plain(written):
        raise InputError("the path is blank", value=written, fix="name the image's file, or remove the row")
    if written.startswith("/") or ".." in written.split("/") or "\0" in written:
        fix = "paths are relative to the data folder, without `..`"
        raise InputError("a path leaves the data folder", value=written, fix=fix)
    return posixpath.normpath(written)


class _Files:
    """The files that a table lists: each is in the folder, and listed once."""

    def __init__(self, root: Path) -> None:
        self._root = os.path.realpath(root)
        self._folder_is_inside = lru_cache(65_536)(self._is_inside)
        self._seen: set[str] = set()
        self._absent: list[str] = []
        self._absences = 0

    def status(self, path: str) -> os.stat_result | None:
        """Of a file; None if it is absent.

        Raises:
            InputError: listed before; no ordinary file; outside of the folder, reached by a symbolic link.
        """
        if path in self._seen:
            raise InputError("a path is listed twice", value=path, fix="remove one of the rows")
        self._seen.add(path)
        file = f"{self._root}/{path}"
        if not self._folder_is_inside(posixpath.dirname(file)):
            raise _leads_out(path)
        try:
            status = os.lstat(file)
            if S_ISLNK(status.st_mode):
                if not self._is_inside(file):
                    raise _leads_out(path)
                status = os.stat(file)  # noqa: PTH116 (a million times)
        except OSError:
            self._note_absent(path)
            return None
        if not S_ISREG(status.st_mode):
            raise InputError("a path is that of no ordinary file", value=path, fix="list image files only")
        return status

    def refuse_absent(self, table: Path) -> None:
        """Tell how many files are absent, and the first of them."""
        if self._absences:
            fix = "add the files, or correct the table; paths are relative to the data folder, with forward slashes"
            problem = f"{self._absences} listed files are not there"
            raise InputError(problem, where=str(table), value=self._absent, fix=fix)

    def _is_inside(self, file: str) -> bool:
        real = os.path.realpath(file)
        return real == self._root or real.startswith(self._root.rstrip("/") + "/")

    def _note_absent(self, path: str) -> None:
        self._absences += 1
        if len(self._absent) < _EXAMPLES:
            self._absent.append(path)


def _leads_out(path: str) -> InputError:
    fix = "copy the file into the folder, or make the folder that holds it the data folder"
    return InputError("a path leads out of the data folder through a symbolic link", value=path, fix=fix)


def _table(config: Config, root: Path) -> Path:
    if config.table is not None:
        file = root / config.table
        if not is_parquet(file) and file.suffix.lower() != ".csv":
            raise InputError("a table is .csv or .parquet", where=str(root), value=str(config.table))
        return file
    files = [file for ending in ENDINGS if (file := root / f"manifest{ending}").is_file()]
    if not files:
        fix = "put manifest.csv or manifest.parquet there, or name the table: `table`"
        raise InputError("there is no table of the images", where=str(root), fix=fix)
    if len(files) > 1:
        found = [file.name for file in files]
        raise InputError("there are two tables", where=str(root), value=found, fix="choose one: `table`")
    return files[0]


def _names(config: Config, file: Path) -> dict[Column, str]:
    """What the table calls each column that is read, by our names."""
    there = column_names(file)
    for ours in (*config.columns, *(name for name in NEEDED if name not in config.columns)):
        theirs = config.columns.get(ours, ours)
        if theirs not in there:
            fix = f"say which it is: `columns: {{{ours}: …}}`"
            raise InputError(f"the table has no column {theirs!r}", where=str(file), value=there, fix=fix)
    names = {ours: config.columns.get(ours, ours) for ours in (*NEEDED, *OPTIONAL)}
    return {ours: theirs for ours, theirs in names.items() if theirs in there}


def _finish(polarity: Polarity, file: Path) -> None:
    try:
        polarity.finish()
    except InputError as error:
        raise error.at(str(file)) from None

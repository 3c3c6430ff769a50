"""The manifest of a data folder: one row a file, what it is, what it is for, and what is wrong with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from trainables.contract import Split
from trainables.data.decode import READER_VERSION
from trainables.data.preprocess import Preprocess
from trainables.data.sets import ImageSet
from trainables.errors import InputError
from trainables.writing import atomic_file

COLUMNS = {
    "path": "str",
    "label": "int64",
    "generator": "str",
    "family": "str",
    "source": "str",
    "group": "str",
    "split": "str",
    "digest": "str",
    "width": "int64",
    "height": "int64",
    "mode": "str",
    "format": "str",
    "bytes": "int64",
    "modified": "int64",
    "note": "str",
    "problem": "str",
}
"""Columns and types, in order.

path: of the file below the root, with forward slashes. label: 0 real, 1 fake. generator: the folder's name.
family: ``real``, ``gan``, ``dm`` or ``fake``. source: where a real image, or what a fake learned from, is from.
group: images that must not be divided between splits. digest: SHA-256 of the file's bytes. width, height, mode,
format: as stored; 0 and empty if it could not be read. modified: nanoseconds since 1970. note: what is converted
on reading. problem: why the file cannot be used, empty if it can.
"""


@dataclass(frozen=True, eq=False)
class Manifest:
    """The images of a folder.

    Args:
        root: the folder.
        frame: one row a file, ordered by path, of the columns in ``COLUMNS``.
    """

    root: Path
    frame: pd.DataFrame

    @cached_property
    def usable(self) -> pd.DataFrame:
        """The rows of images that are used, each content once, ordered by digest."""
        rows = self.frame[self.frame["problem"] == ""]
        return rows.drop_duplicates("digest").sort_values("digest", ignore_index=True)

    @property
    def problems(self) -> pd.DataFrame:
        """The rows of files that cannot be used."""
        return self.frame[self.frame["problem"] != ""]

    @property
    def duplicates(self) -> pd.DataFrame:
        """The rows of usable files whose bytes are those of an earlier one of the same set; they count once."""
        rows = self.frame[self.frame["problem"] == ""]
        return rows[rows.duplicated("digest")]

    @property
    def notes(self) -> pd.DataFrame:
        """The rows of usable images that are converted on reading."""
        return self.frame[(self.frame["note"] != "") & (self.frame["problem"] == "")]

    def sets(self) -> tuple[ImageSet, ...]:
        """The image sets, reals first, ordered by generator and split; unusable files are in none."""
        return tuple(_set_of(rows) for _, rows in self.usable.groupby(["label", "generator", "split"], sort=True))

    def summary(self) -> pd.DataFrame:
        """How many usable images each generator has in each split, one row a generator, and how many files are not."""
        splits = [split.value for split in Split]
        index = ["label", "family", "generator"]
        counts = self.usable.pivot_table(index=index, columns="split", values="path", aggfunc="count", fill_value=0)
        counts = counts.reindex(columns=splits, fill_value=0)
        unusable = self.problems.groupby(index).size()
        rows = counts.index.union(unusable.index)
        return counts.reindex(rows, fill_value=0).assign(unusable=unusable.reindex(rows, fill_value=0)).reset_index()

    def fitting(self, preprocess: Preprocess) -> Manifest:
        """The manifest in which an image that is smaller than the crop counts as unusable."""
        columns = (self.frame[name] for name in ("problem", "width", "height"))
        problems = [known or preprocess.problem(width, height) for known, width, height in zip(*columns, strict=True)]
        return replace(self, frame=self.frame.assign(problem=pd.Series(problems, self.frame.index, dtype="str")))

    def save(self, path: Path) -> None:
        """Write it as Parquet, whole or not at all."""
        frame = self.frame.copy()
        frame.attrs = {"root": str(self.root), "reader": READER_VERSION}
        with atomic_file(path) as temporary:
            frame.to_parquet(temporary, index=False)

    @staticmethod
    def load(path: Path) -> Manifest:
        """Read what ``save`` wrote.

        Raises:
            InputError: the file is not a manifest of this version.
        """
        fix = "remove it: it is made again"
        try:
            frame = pd.read_parquet(path)
            root, reader = Path(frame.attrs["root"]), frame.attrs["reader"]
            manifest = Manifest(root=root, frame=typed(frame[list(COLUMNS)]))
        except (OSError, ValueError, KeyError) as error:
            raise InputError("not an index of images", where=str(path), value=str(error), fix=fix) from error
        if reader != READER_VERSION:
            raise InputError("this index is of another version", where=str(path), value=reader, fix=fix)
        return manifest


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns in their order and types."""
    return frame.reindex(columns=list(COLUMNS)).astype(COLUMNS).reset_index(drop=True)


def _set_of(rows: pd.DataFrame) -> ImageSet:
    first = rows.iloc[0]
    return ImageSet(
        generator=first["generator"],
        family=first["family"],
        label=int(first["label"]),
        split=Split(first["split"]),
        count=len(rows),
        digest=_digest(rows["digest"]),
    )


def _digest(digests: pd.Series[str]) -> str:
    """20 hex digits of the SHA-256 of the rule by which files are read and of the images' digests, in their order."""
    return hashlib.sha256("\n".join([f"reader {READER_VERSION}", *digests]).encode()).hexdigest()[:20]

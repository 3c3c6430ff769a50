"""The manifest of a study's images: one row an image, what it is, what it is for, and what is wrong with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainables.contract import Split
from trainables.data.preprocess import Preprocess
from trainables.data.sets import ImageSet
from trainables.errors import InputError
from trainables.indexing.decode import READER_VERSION
from trainables.writing import atomic_file

COLUMNS = {
    "folder": "int64",
    "path": "str",
    "offset": "int64",
    "label": "int64",
    "generator": "str",
    "family": "str",
    "source": "str",
    "partner": "str",
    "channel": "str",
    "part": "str",
    "group": "str",
    "split": "str",
    "digest": "str",
    "pixels": "str",
    "perceptual": "str",
    "width": "int64",
    "height": "int64",
    "mode": "str",
    "format": "str",
    "quality": "int64",
    "chroma": "str",
    "exif": "int64",
    "bytes": "int64",
    "red": "float64",
    "green": "float64",
    "blue": "float64",
    "detail": "float64",
    "modified": "int64",
    "note": "str",
    "problem": "str",
}
"""Columns and types, in order: those of ``Found`` and of ``Facts``, and

folder: position of the image's data folder in ``Manifest.roots``. generator, family: by the study's names. group:
images that must not be divided between splits. split: what the image is for. problem: why the file cannot be used,
or why it is left out of the study; empty if it is used.
"""


_SAID = ["path", "label", "generator", "family", "source", "partner", "channel", "group", "split"]
_IDENTITY = [*_SAID, "digest", "note"]
"""Columns that make one manifest another, beside whether a file is used: why it is not names places of this machine."""

_IMAGE = ["generator", "pixels"]
"""Files that agree in these are one image."""


@dataclass(frozen=True, eq=False)
class Manifest:
    """The images of a study.

    Args:
        roots: the data folders.
        frame: one row an image, ordered by folder and path, of the columns in ``COLUMNS``.
        not_taken: how many more images the folders have, which the study does not take.
    """

    roots: tuple[Path, ...]
    frame: pd.DataFrame
    not_taken: int = 0

    @cached_property
    def usable(self) -> pd.DataFrame:
        """The rows of images that are used, each once in its generator, ordered by digest."""
        there = np.flatnonzero((self.frame["problem"] == "").to_numpy())
        rows = there[np.argsort(self.frame["digest"].to_numpy(object)[there], kind="stable")]
        again = self.frame[_IMAGE].take(rows).duplicated().to_numpy()
        return self.frame.take(rows[~again]).reset_index(drop=True)

    @cached_property
    def digest(self) -> str:
        """20 hex digits of what the images are, are called and are for, unusable ones among them; no place, no time."""
        known = self.frame[_IDENTITY].assign(used=self.frame["problem"] == "")
        rows = pd.util.hash_pandas_object(known, index=False, categorize=False)
        return hashlib.sha256(np.sort(rows.to_numpy()).tobytes()).hexdigest()[:20]

    @property
    def problems(self) -> pd.DataFrame:
        """The rows of files that cannot be used, or are left out."""
        return self.frame[self.frame["problem"] != ""]

    @property
    def duplicates(self) -> pd.DataFrame:
        """The rows of usable files that show the very pixels of another file of their generator; they count once."""
        rows = self.frame[self.frame["problem"] == ""]
        return rows[rows.sort_values("digest", kind="stable").duplicated(_IMAGE).reindex(rows.index)]

    @property
    def notes(self) -> pd.DataFrame:
        """The rows of usable images that are converted on reading."""
        return self.frame[(self.frame["note"] != "") & (self.frame["problem"] == "")]

    def sets(self) -> tuple[ImageSet, ...]:
        """The image sets, reals first, ordered by generator and split; unusable files are in none."""
        rows = self.usable[["label", "generator", "split", "family", "partner", "digest"]]
        partners = rows[rows["label"] == 0].groupby("generator")["partner"].agg(["nunique", "first"])
        own = partners["first"].where(partners["nunique"] == 1, "")
        return tuple(
            _set_of(part, own.get(generator, ""))
            for (_, generator, _), part in rows.groupby(["label", "generator", "split"], sort=True)
        )

    def rows(self, generator: str, split: Split) -> pd.DataFrame:
        """The rows of one image set, in the order of its images: by digest."""
        places = self._places.get((generator, split.value))
        return self.usable.iloc[[] if places is None else places]

    @cached_property
    def _places(self) -> dict[tuple[str, str], NDArray[np.int64]]:
        return self.usable.groupby(["generator", "split"]).indices  # type: ignore[return-value]

    def summary(self) -> pd.DataFrame:
        """How many usable images each generator has in each split, one row a generator, and how many files are not."""
        splits = [split.value for split in Split]
        index = ["label", "family", "generator"]
        counts = self.usable.groupby([*index, "split"]).size().unstack("split", fill_value=0)
        counts = counts.reindex(columns=splits, fill_value=0)
        unusable = self.problems.groupby(index).size()
        rows = counts.index.union(unusable.index)
        return counts.reindex(rows, fill_value=0).assign(unusable=unusable.reindex(rows, fill_value=0)).reset_index()

    def fitting(self, preprocess: Preprocess) -> Manifest:
        """The manifest in which an image that is smaller than the crop counts as unusable; itself where none is."""
        problem = problems_with(self.frame, {"": preprocess})
        if problem.equals(self.frame["problem"]):
            return self
        return replace(self, frame=self.frame.assign(problem=problem))

    def save(self, path: Path) -> None:
        """Write it as Parquet, whole or not at all."""
        frame = self.frame.copy(deep=False)
        frame.attrs = {"roots": list(map(str, self.roots)), "not_taken": self.not_taken, "reader": READER_VERSION}
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
            said = dict(frame.attrs)
            roots, not_taken, reader = tuple(map(Path, said["roots"])), said["not_taken"], said["reader"]
            manifest = Manifest(roots, typed(frame[list(COLUMNS)]), not_taken)
        except (OSError, ValueError, KeyError) as error:
            raise InputError("not a manifest of images", where=str(path), value=str(error), fix=fix) from error
        if reader != READER_VERSION:
            raise InputError("this manifest is of another version", where=str(path), value=reader, fix=fix)
        return manifest


def problems_with(frame: pd.DataFrame, preprocesses: Mapping[str, Preprocess]) -> pd.Series[str]:
    """Why each image cannot be used; blank if it can. Of many images few have a size of their own.

    Args:
        frame: columns ``width``, ``height`` and ``problem``.
        preprocesses: the ways in which images are seen, by the detector that sees them so; by a blank name the study's.
    """
    numbers, sizes = pd.MultiIndex.from_frame(frame[["width", "height"]]).factorize()
    told = np.array([_refusal(int(width), int(height), preprocesses) for width, height in sizes], dtype=object)
    known = frame["problem"]
    if not told.any():
        return known
    return known.mask(known == "", pd.Series(told[numbers], frame.index, dtype="str"))


def _refusal(width: int, height: int, preprocesses: Mapping[str, Preprocess]) -> str:
    """Why the first of them that cannot take an image of this size cannot; blank if all can."""
    for name, preprocess in preprocesses.items():
        if problem := preprocess.problem(width, height):
            return f"{problem} (`preprocess` of {name})" if name else problem
    return ""


def typed(frame: pd.DataFrame) -> pd.DataFrame:
    """The columns in their order and types."""
    return frame.reindex(columns=list(COLUMNS)).astype(COLUMNS).reset_index(drop=True)


def _set_of(rows: pd.DataFrame, partner: str) -> ImageSet:
    first = rows.iloc[0]
    return ImageSet(
        generator=first["generator"],
        family=first["family"],
        label=int(first["label"]),
        split=Split(first["split"]),
        count=len(rows),
        partner=partner,
        digest=_digest(rows["digest"]),
    )


def _digest(digests: pd.Series[str]) -> str:
    """20 hex digits of the SHA-256 of the rule by which files are read and of the images' digests, in their order."""
    return hashlib.sha256("\n".join([f"reader {READER_VERSION}", *digests]).encode()).hexdigest()[:20]

"""Reading a data folder: ``real/<source>/…`` and ``fake/<generator>/…``, and ``manifest.csv`` if there is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pandas as pd

from trainables.data.checks import refuse_divided_groups, refuse_mixed_families, refuse_repeated_bytes
from trainables.data.examine import Facts, examine
from trainables.data.manifest import Manifest, typed
from trainables.data.preprocess import Preprocess
from trainables.data.scan import scan
from trainables.data.splits import Fractions
from trainables.data.table import check_against_folder, read_table
from trainables.data.threads import map_in_threads
from trainables.errors import InputError

TABLE = "manifest.csv"
_SAID = ["family", "source", "group", "split"]
_LISTED = 20

Progress = Callable[[int, int], None]
"""Called with how many files are done and how many there are."""


def prepare(
    root: Path,
    *,
    splits: Fractions,
    index: Path,
    unusable: Literal["refuse", "skip"] = "refuse",
    preprocess: Preprocess | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """The folder's manifest, brought up to date in its index file; reads only files that are new or changed.

    Args:
        root: the data folder.
        splits: shares of the splits where its table does not fix them.
        index: the Parquet file that keeps the manifest from one call to the next.
        unusable, preprocess: as for ``admit``.
        progress: called now and then with files done and files in all.

    Raises:
        InputError: as ``index_folder`` and ``admit``; the index file is then left as it was.
    """
    manifest = index_folder(root, splits=splits, known=known_index(index), progress=progress)
    admitted = admit(manifest, unusable, preprocess)
    keep_index(manifest, index)
    return admitted


def index_folder(
    root: Path, *, splits: Fractions, known: Manifest | None = None, progress: Progress | None = None
) -> Manifest:
    """Everything there is to know of a folder's images; every file is decoded once.

    Args:
        root: the data folder.
        splits: shares of the splits where its table does not fix them.
        known: an earlier manifest of this folder; files of the same size and time are not read again.
        progress: called now and then with files done and files in all.

    Raises:
        InputError: a class or generator without images; a table that does not fit; the same bytes in two
            generators or splits; a group in two splits.
    """
    root = Path(root).absolute()
    frame = scan(root)
    frame = frame.join(_facts(root, frame, known, progress))
    frame = _with_table(frame, root / TABLE)
    blank = frame["group"] == ""
    frame["group"] = frame["group"].mask(blank, frame["digest"])
    by_hash = {group: splits.split_of(group).value for group in frame["group"].unique()}
    frame["split"] = frame["split"].mask(frame["split"] == "", frame["group"].map(by_hash))
    refuse_mixed_families(frame, root)
    refuse_divided_groups(frame, root)
    refuse_repeated_bytes(frame, root)
    return Manifest(root=root, frame=typed(frame.reset_index()))


def known_index(index: Path) -> Manifest | None:
    """The manifest kept in a file; None if there is none, or it is of another version: then all is read again."""
    if not index.is_file():
        return None
    try:
        return Manifest.load(index)
    except InputError:
        return None


def keep_index(manifest: Manifest, index: Path) -> None:
    """Keep the manifest in a file, unless that is what the file holds."""
    known = known_index(index)
    if known is None or known.root != manifest.root or not known.frame.equals(manifest.frame):
        manifest.save(index)


def admit(manifest: Manifest, unusable: Literal["refuse", "skip"], preprocess: Preprocess | None = None) -> Manifest:
    """The manifest as a study uses it.

    Args:
        manifest: of a folder; not changed, so that its index serves every study.
        unusable: whether a file that is no usable image is an error.
        preprocess: with it, an image smaller than the crop counts as unusable.

    Raises:
        InputError: there are unusable files, and they are refused; the message lists them.
    """
    if preprocess:
        manifest = manifest.fitting(preprocess)
    problems = manifest.problems
    if problems.empty or unusable == "skip":
        return manifest
    lines = [f"{path}: {problem}" for path, problem in zip(problems["path"], problems["problem"], strict=True)]
    more = [f"and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
    listing = "".join(f"\n  {line}" for line in [*lines[:_LISTED], *more])
    fix = "mend or remove them, or say `unusable: skip` to leave them out"
    count = "1 file is no usable image" if len(lines) == 1 else f"{len(lines)} files are no usable images"
    raise InputError(f"{count}{listing}", where=str(manifest.root), fix=fix)


def _facts(root: Path, found: pd.DataFrame, known: Manifest | None, progress: Progress | None) -> pd.DataFrame:
    """The facts of every file, indexed by path; read only where they are not known."""
    facts = _known_facts(root, found, known)
    paths = [path for path in found.index if path not in facts]
    done = len(found) - len(paths)
    for chunk in map_in_threads(lambda path: (path, examine(root / path)), paths):
        facts.update(chunk)
        done += len(chunk)
        if progress:
            progress(done, len(found))
    return pd.DataFrame([facts[path] for path in found.index], index=found.index, columns=list(Facts._fields))


def _known_facts(root: Path, found: pd.DataFrame, known: Manifest | None) -> dict[str, Facts]:
    """The facts of files that have the size and time they had when they were read."""
    if known is None or known.root != root:
        return {}
    then = known.frame.set_index("path")
    then = then[then["digest"] != ""]
    both = then.index.intersection(found.index)
    same = (then.loc[both, ["bytes", "modified"]] == found.loc[both, ["bytes", "modified"]]).all(axis=1)
    rows = then.loc[both[same], list(Facts._fields)]
    return dict(zip(rows.index, map(Facts._make, rows.itertuples(index=False)), strict=True))


def _with_table(found: pd.DataFrame, file: Path) -> pd.DataFrame:
    """With what the table says: family, source, group, split; blank, or the plain default, where it says nothing."""
    frame = found.assign(**dict.fromkeys(_SAID, ""))
    if file.is_file():
        table = read_table(file)
        check_against_folder(table, found, file)
        frame[_SAID] = table.reindex(index=found.index, columns=_SAID, fill_value="")
    families = frame["family"].mask(frame["family"] == "")
    of_generator = families.groupby(frame["generator"]).transform("first")  # of a file that is new to the table
    frame["family"] = families.fillna(of_generator).fillna(frame["label"].map({0: "real", 1: "fake"}))
    frame["source"] = frame["source"].mask(frame["source"] == "", frame["generator"])
    return frame

"""From the indexes of one or several data folders to the manifest of a study: names, groups, splits, refusals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainables.data.checks import (
    refuse_missing_class,
    refuse_mixed_families,
    refuse_shared_images,
    refuse_shared_names,
)
from trainables.data.choosing import Choosing
from trainables.data.duplicates import merged_groups, near_duplicates
from trainables.data.manifest import Manifest, typed
from trainables.data.preprocess import Preprocess
from trainables.data.splits import Fractions
from trainables.data.splitting import overlap_problems, refuse_overlap, split_rows
from trainables.data.taking import taken
from trainables.indexing.index import Index

_UNKNOWN = ("", "fake")

_READ = ["folder", "path", "generator", "part", "group", "pixels", "perceptual", "red", "green", "blue"]
"""What groups and splits are made from."""


def assemble(
    folders: Sequence[tuple[Index, Choosing]],
    splits: Fractions,
    *,
    overlap: Literal["refuse", "drop"] = "refuse",
    preprocesses: Mapping[str, Preprocess] | None = None,
    complete: bool = True,
) -> Manifest:
    """The images of a study.

    Groups are made of what the layouts say, of equal pixels and of near duplicates; a group is never divided between
    splits, unless the layouts' own parts divide it, which is refused. See ``split_rows`` for the rule.

    Args:
        folders: indexes, each with what is taken of it.
        splits: shares, where the layouts do not fix them.
        overlap: what to do where a fixed split divides a group: ``refuse``, with the list; or ``drop`` the copies
            outside the test split (then outside few, adapt, fusion, val) and list them as unusable.
        preprocesses: the ways in which images are seen, as for ``problems_with``: an image that one of them cannot take
            counts as unusable, so that all detectors are compared on the same images.
        complete: whether the images must do for a study: both classes are there, and no image is of two generators.

    Raises:
        InputError: nothing is left, a class is empty, a name is both real and fake, or has two families; one image in
            two generators; overlap; unusable files where they are refused. Each message lists what it is about.
    """
    roots = tuple(index.root for index, _ in folders)
    frame = _joined(folders, preprocesses or {})
    refuse_shared_names(frame)
    refuse_mixed_families(frame)
    usable = (frame["problem"] == "").to_numpy()
    if complete:
        refuse_shared_images(frame.loc[usable, ["folder", "path", "label", "generator", "pixels"]], roots)
    frame = _split(frame, np.flatnonzero(usable), roots, [choosing for _, choosing in folders], splits, overlap)
    if complete:
        refuse_missing_class(frame[["path", "label", "problem"]])
    not_taken = sum(len(index.frame) for index, _ in folders) - len(frame)
    return Manifest(roots, typed(frame), not_taken=not_taken)


def _joined(folders: Sequence[tuple[Index, Choosing]], preprocesses: Mapping[str, Preprocess]) -> pd.DataFrame:
    """What is taken of all folders, every row with a family and a source."""
    parts = [
        taken(index, choosing, preprocesses).assign(folder=position)
        for position, (index, choosing) in enumerate(folders)
    ]
    frame = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0].reset_index(drop=True)
    plain = frame["label"].map({0: "real", 1: "fake"}).astype("str")
    said = frame["family"].mask(frame["family"].isin(_UNKNOWN))
    of_generator = said.groupby(frame["generator"]).transform("first")  # of rows whose folder does not say
    source = frame["source"].mask(frame["source"] == "", frame["generator"])
    return frame.assign(family=said.fillna(of_generator).fillna(plain), source=source, split="")


def _split(
    frame: pd.DataFrame,
    usable: NDArray[np.int64],
    roots: Sequence[Path],
    choosings: Sequence[Choosing],
    fractions: Fractions,
    overlap: Literal["refuse", "drop"],
) -> pd.DataFrame:
    """The frame with the groups and splits of its usable rows; overlap is refused, or is a problem of the rows."""
    rows = frame[_READ].iloc[usable].reset_index(drop=True)
    pairs = near_duplicates(rows)
    # A folder that is listed twice, for two of its channels, is one: its names of groups mean the same in both.
    places = [root.resolve() for root in roots]
    rows["tree"] = np.array([places.index(place) for place in places])[rows["folder"]]
    rows = rows.assign(declared=rows["group"], **merged_groups(rows, pairs))
    found = split_rows(rows, choosings, fractions)
    if overlap == "refuse":
        refuse_overlap(rows, found, pairs, roots)
    columns = {name: frame[name].to_numpy(object, copy=True) for name in ("group", "split", "problem")}
    columns["group"][usable], columns["split"][usable] = rows["group"], found.split
    columns["problem"][usable[found.left_over]] = overlap_problems(rows, found, pairs, roots)
    return frame.assign(**columns)

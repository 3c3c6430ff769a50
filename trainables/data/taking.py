"""What a study takes of the index of one data folder, under the study's names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from trainables.data.checks import refuse_unusable
from trainables.data.choosing import Choosing
from trainables.data.manifest import problems_with
from trainables.data.preprocess import Preprocess
from trainables.errors import InputError, nearest
from trainables.indexing.index import Index


def taken(index: Index, choosing: Choosing, preprocesses: Mapping[str, Preprocess]) -> pd.DataFrame:
    """The rows that are taken, ordered by path.

    The family is the chosen one, else the layout's, else blank. A file that could not be read has no size, so no size
    leaves it out.

    Args:
        index: of a folder.
        choosing: what is taken of it.
        preprocesses: as for ``problems_with``: an image that one of them cannot take counts as unusable.

    Raises:
        InputError: a chosen name is not in the folder; nothing is left; unusable files where they are refused.
    """
    try:
        frame = _renamed(_of_size(_of_names(index.frame, choosing), choosing), choosing)
        if choosing.limit:
            frame = frame[_among_first(frame, choosing.limit)]
        if frame.empty:
            raise InputError("the study takes no image of this folder", fix="take more generators, channels or sizes")
    except InputError as error:
        raise error.at(str(index.root)) from None
    sound = int((frame["problem"] == "").sum())
    frame = frame.assign(problem=problems_with(frame, preprocesses))
    if choosing.unusable == "refuse":
        refuse_unusable(frame, index.root, unfit=int((frame["problem"] == "").sum()) < sound)
    return frame if frame["path"].is_monotonic_increasing else frame.sort_values("path")


def _of_names(frame: pd.DataFrame, choosing: Choosing) -> pd.DataFrame:
    for key, column in (("generators", "generator"), ("channels", "channel")):
        chosen = getattr(choosing, key)
        if chosen != "all":
            _refuse_unknown(key, chosen, frame[column].unique())
            frame = frame[frame[column].isin(chosen)]
    return frame


def _of_size(frame: pd.DataFrame, choosing: Choosing) -> pd.DataFrame:
    sides = frame[["width", "height"]]
    beyond = pd.Series(False, frame.index)
    if choosing.smallest:
        beyond |= sides.min(axis=1).between(1, choosing.smallest - 1)
    if choosing.largest:
        beyond |= sides.max(axis=1) > choosing.largest
    return frame[~beyond] if beyond.any() else frame


def _renamed(frame: pd.DataFrame, choosing: Choosing) -> pd.DataFrame:
    _refuse_unknown("rename", choosing.rename, frame["generator"].unique())
    changed = {name: _translated(frame[name], choosing.rename) for name in ("generator", "partner")}
    _refuse_unknown("families", choosing.families, changed["generator"].unique())
    family = changed["generator"].map(dict(choosing.families)).astype("str").fillna(frame["family"])
    return frame.assign(**changed, family=family)


def _translated(names: pd.Series[str], rename: Mapping[str, str]) -> pd.Series[str]:
    return names.map(dict(rename)).astype("str").fillna(names)


def _among_first(frame: pd.DataFrame, limit: int) -> pd.Series[bool]:
    """Whether an image is among the first so many of its generator and part, by a hash of its path."""
    hashes = b"".join(hashlib.sha256(path.encode()).digest()[:8] for path in frame["path"])
    place = pd.Series(np.frombuffer(hashes, ">u8").astype(np.uint64), frame.index)
    return place.groupby([frame["generator"], frame["part"]]).rank(method="first") <= limit


def _refuse_unknown(key: str, given: Iterable[str], known: Iterable[str]) -> None:
    for name in given:
        if name not in known:
            names = [each for each in known if each]
            fix = nearest(name, names) if names else f"leave `{key}` out: nothing is known of it here"
            raise InputError(f"`{key}` names what this folder does not have", value=name, fix=fix)

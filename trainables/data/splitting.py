"""Which split each image of a study goes to, and which images the layouts' own parts would put on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainables.contract import Split
from trainables.data.checks import LISTED, listing, shown
from trainables.data.choosing import Choosing
from trainables.data.duplicates import Pairs
from trainables.data.splits import Fractions
from trainables.errors import InputError

KEPT_FIRST = (Split.TEST, Split.FEW, Split.ADAPT, Split.FUSION, Split.VAL, Split.TRAIN)
"""Of copies in two splits, those in the one that comes first here are kept."""

OVERLAP = "overlap: "
"""How the problem of a file begins that is left out because a copy of it is in another split."""

_SPLITS = tuple(Split)
_RANK = np.array([KEPT_FIRST.index(split) for split in _SPLITS])


@dataclass(frozen=True, eq=False)
class Splits:
    """The splits of images.

    Attributes:
        split: of each row.
        left_over: whether a row's part keeps it out of the split that its group goes to.
    """

    split: NDArray[np.str_]
    left_over: NDArray[np.bool_]


def split_rows(rows: pd.DataFrame, choosings: Sequence[Choosing], fractions: Fractions) -> Splits:
    """The split of each row: that of its group.

    A row may go to the splits that its part is divided into (``Choosing.splits_of``), to all of them if it has no
    part. A group goes to one of the splits that are open to all of its rows, by a hash of its name. Where there is no
    such split, the parts divide the group: each row with a part is then given a split as if it were alone, the group
    goes to the one of these that comes first in ``KEPT_FIRST``, and rows that may not go there are left over, with the
    split that their part gives them. Rows without a part always follow their group.

    Args:
        rows: columns ``folder``, ``generator``, ``part``, and ``group`` and ``drawn`` of ``merged_groups``.
        choosings: one a folder.
        fractions: shares of the splits; a split without a share is open to rows whose part says so, and to no others.
    """
    codes, groups = pd.factorize(rows["group"])
    names = rows["drawn"].to_numpy(object)[~rows["group"].duplicated().to_numpy()]  # in the order of the codes
    allowed = _allowed(rows, choosings, fractions)
    common = np.full(len(groups), 255, np.uint8)
    np.bitwise_and.at(common, codes, allowed)
    of_group = np.zeros(len(groups), np.int64)
    whole = common > 0
    of_group[whole] = _drawn(names[whole], common[whole], fractions)

    divided = np.flatnonzero((common[codes] == 0) & (rows["part"] != "").to_numpy())
    alone = _drawn(names[codes[divided]], allowed[divided], fractions)
    rank = np.full(len(groups), len(KEPT_FIRST) - 1)
    np.minimum.at(rank, codes[divided], _RANK[alone])
    of_group[~whole] = np.argsort(_RANK)[rank[~whole]]

    split = of_group[codes]
    left_over = (allowed >> split) & 1 == 0
    split[divided] = np.where(left_over[divided], alone, split[divided])
    return Splits(np.array([each.value for each in _SPLITS])[split], left_over)


def refuse_overlap(rows: pd.DataFrame, splits: Splits, pairs: Pairs, roots: Sequence[Path]) -> None:
    """What is learned of an image must not be tested on it, or on its copy.

    Raises:
        InputError: rows are left over; the message lists them with their copies.
    """
    over = np.flatnonzero(splits.left_over)
    if not len(over):
        return
    kept, why = _copies_kept(rows, splits, pairs)
    first = over[:LISTED]
    both = zip(_named(rows, splits, first, roots), _named(rows, splits, kept[:LISTED], roots), why, strict=False)
    lines = [f"{one} – {other}: {reason}" for one, other, reason in both]
    several = f"{len(over)} images show what images of another split show"
    problem = several if len(over) > 1 else "1 image shows what an image of another split shows"
    fix = "`overlap: drop` leaves out the first of each pair; or remove it, or let `divide` put both parts in one split"
    raise InputError(f"{problem}{listing(lines, len(over))}", where="data", fix=fix)


def overlap_problems(rows: pd.DataFrame, splits: Splits, pairs: Pairs, roots: Sequence[Path]) -> list[str]:
    """For each row that is left over, in their order: why it is left out, and which copy of it is kept.

    A copy in the row's own folder is named by its path below it: whatever tells of this is then the same wherever the
    folder lies.
    """
    if not splits.left_over.any():
        return []
    kept, why = _copies_kept(rows, splits, pairs)
    folders = rows["folder"].to_numpy()
    beside = folders[kept] == folders[splits.left_over]
    both = (_named(rows, splits, kept, among) for among in (roots[:1], roots))
    named = [short if near else whole for short, whole, near in zip(*both, beside, strict=True)]
    return [f"{OVERLAP}{reason} with {other}, which is kept" for other, reason in zip(named, why, strict=True)]


def _allowed(rows: pd.DataFrame, choosings: Sequence[Choosing], fractions: Fractions) -> NDArray[np.uint8]:
    """The splits that each row may go to: bit k for the k-th split."""
    kinds = rows.groupby(["folder", "generator", "part"], sort=False)
    keys = kinds.size().index
    parts: dict[tuple[int, str], set[str]] = {}
    for folder, generator, part in keys:
        parts.setdefault((folder, generator), set()).update({part} - {""})
    bits = []
    for folder, generator, part in keys:
        among = choosings[folder].splits_of(part, frozenset(parts[folder, generator]))
        among = fractions.given(among) if part else among
        bits.append(sum(1 << _SPLITS.index(split) for split in among))
    return np.array(bits, np.uint8)[kinds.ngroup().to_numpy()]


def _drawn(names: NDArray[np.object_], allowed: NDArray[np.uint8], fractions: Fractions) -> NDArray[np.int64]:
    """The number of the split of each group, among those that are open to it."""
    drawn = np.zeros(len(names), np.int64)
    for bits in np.unique(allowed):
        among = [split for k, split in enumerate(_SPLITS) if bits >> k & 1]
        these = np.flatnonzero(allowed == bits)
        drawn[these] = [_SPLITS.index(split) for split in fractions.splits_of(names[these].tolist(), among)]
    return drawn


def _copies_kept(rows: pd.DataFrame, splits: Splits, pairs: Pairs) -> tuple[NDArray[np.int64], list[str]]:
    """For each row that is left over: the place of a row of its group that is kept, and what the two have in common."""
    declared = rows["declared"].mask(rows["declared"] == "")
    names = rows["tree"].astype("str") + "/" + declared
    kept = np.full(len(rows), -1)
    why = np.full(len(rows), "", dtype=object)
    found = {
        "equal pixels": _first_kept(rows["pixels"], splits.left_over),
        "near duplicate": _paired_with(pairs, splits.left_over),
        "one declared group": _first_kept(names, splits.left_over),
        "one group, through other images": _first_kept(rows["group"], splits.left_over),
    }
    for reason, places in found.items():
        new = (kept < 0) & (places >= 0)
        kept[new], why[new] = places[new], reason
    return kept[splits.left_over], why[splits.left_over].tolist()


def _first_kept(names: pd.Series[str], left_over: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each row the place of the first row of its name that is kept; -1 if there is none, or it has no name."""
    codes, known = pd.factorize(names)
    first = np.full(len(known) + 1, -1)
    kept = np.flatnonzero(~left_over & (codes >= 0))[::-1]
    first[codes[kept]] = kept
    return first[codes]


def _paired_with(pairs: Pairs, left_over: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each row the place of a row that is kept and paired with it; -1 if there is none."""
    places = np.full(len(left_over), -1)
    for one, other in (pairs.T, pairs.T[::-1]):
        kept = ~left_over[other]
        places[one[kept]] = other[kept]
    return places


def _named(rows: pd.DataFrame, splits: Splits, places: NDArray[np.int64], roots: Sequence[Path]) -> list[str]:
    """Files with their split and generator."""
    these = rows.iloc[places]
    facts = zip(shown(these, roots), splits.split[places], these["generator"], strict=True)
    return [f"{path} ({split}, {generator})" for path, split, generator in facts]

"""Images that show the same thing: equal pixels, nearly equal pixels, or one group by name."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

NEAR = 3
"""Bits of 64 in which the perceptual hashes of near duplicates may differ."""

COLOUR = 8
"""Whole grey levels by which the mean of a colour channel of near duplicates may differ."""

_BAND = 16
"""Bits of a band. Of four bands, three differing bits leave one untouched: near duplicates agree in a whole band."""

_HELD = 1 << 22
"""Pairs that are gathered before all but a spanning forest of them are let go."""

Pairs = NDArray[np.int64]


def near_duplicates(frame: pd.DataFrame) -> Pairs:
    """Pairs of rows, (P, 2) positions, whose images show the same thing: re-encoded, resized or retouched copies.

    Two images are near duplicates if their perceptual hashes differ in at most ``NEAR`` bits and their mean colours,
    in whole grey levels, by at most ``COLOUR``. Mirrored and cropped copies are not found. Every pair given is of near
    duplicates, but not all of them are given: as few as connect what they connect, so fewer than there are rows.

    The hashes are compared within buckets that agree in one of four bands (multi-index hashing: Norouzi, Punjani and
    Fleet, CVPR 2012, with the colour as a second key). Memory grows with the number of rows alone.

    Args:
        frame: columns ``perceptual``, ``red``, ``green``, ``blue``; a blank hash is like no other.
    """
    hashed = np.flatnonzero((frame["perceptual"] != "").to_numpy())
    if not len(hashed):
        return np.empty((0, 2), np.int64)
    hashes, colours = _keys(frame.iloc[hashed])
    same, firsts = _chains(hashes, colours)
    distinct = _near_pairs(hashes[firsts], colours[firsts])
    pairs: Pairs = hashed[np.concatenate([same, firsts[distinct]])]
    return pairs


def components(rows: int, pairs: Pairs) -> NDArray[np.int64]:
    """The number of the group that each of so many rows is in, if the rows of each pair are in one group."""
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(rows, rows))
    _, numbers = connected_components(graph, directed=False)
    return numbers.astype(np.int64)  # type: ignore[no-any-return]


def merged_groups(frame: pd.DataFrame, pairs: Pairs) -> pd.DataFrame:
    """The group of every row: rows that share a name, equal pixels or a pair, directly or through others, are one.

    Args:
        frame: columns ``group`` (blank: none declared), ``tree`` (images of one number share names), ``pixels``.
        pairs: of positions of rows, from ``near_duplicates``.

    Returns:
        With the index of ``frame``, the columns

        drawn: what a group's split is drawn by: the least of the declared names in it, else of the pixel hashes. So
        neither the order of folders nor a further one changes it.
        group: the same, and the least pixel hash after it where groups of two trees have one name.
    """
    places = np.flatnonzero((frame["group"] != "").to_numpy())
    declared = frame[["tree", "group"]].iloc[places]
    by_name = places[chained(_numbers(declared, ["tree", "group"]))]
    number = components(len(frame), np.concatenate([pairs, by_name, chained(_numbers(frame, ["pixels"]))]))
    pixels = frame.groupby(number)["pixels"].min()
    names: pd.Series[str] = declared.groupby(number[places])["group"].min()
    own = names.where(~names.duplicated(keep=False), names + " " + pixels.reindex(names.index))
    columns = {"drawn": names, "group": own}
    groups = pd.DataFrame({name: each.reindex(pixels.index).fillna(pixels) for name, each in columns.items()})
    return groups.take(number).set_axis(frame.index)


def _numbers(frame: pd.DataFrame, columns: list[str]) -> NDArray[np.int64]:
    """A number a row; rows that agree in these columns have the same."""
    return np.array(frame.groupby(columns, sort=False).ngroup(), np.int64)


def chained(numbers: NDArray[np.int64]) -> Pairs:
    """Pairs of positions that chain those of equal number together."""
    order = np.argsort(numbers, kind="stable")
    equal = np.flatnonzero(numbers[order[:-1]] == numbers[order[1:]])
    return np.stack([order[equal], order[equal + 1]], axis=1)


def _keys(frame: pd.DataFrame) -> tuple[NDArray[np.uint64], NDArray[np.int16]]:
    """The hashes, (N,), and the mean colours in whole grey levels, (N, 3)."""
    digits = bytes.fromhex("".join(frame["perceptual"]))
    colours = frame[["red", "green", "blue"]].to_numpy(np.float64)
    return np.frombuffer(digits, ">u8").astype(np.uint64), np.rint(colours).astype(np.int16)


def _chains(hashes: NDArray[np.uint64], colours: NDArray[np.int16]) -> tuple[Pairs, NDArray[np.int64]]:
    """Pairs that chain rows of equal hash and colour together, and the first row of each chain."""
    red, green, blue = colours.T
    order = np.lexsort((blue, green, red, hashes))
    ahead, behind = order[:-1], order[1:]
    equal = (hashes[ahead] == hashes[behind]) & (colours[ahead] == colours[behind]).all(axis=1)
    return np.stack([ahead[equal], behind[equal]], axis=1), order[np.r_[True, ~equal]]


def _near_pairs(hashes: NDArray[np.uint64], colours: NDArray[np.int16]) -> Pairs:
    """A spanning forest of the near duplicates among rows of different hash or colour."""
    forest = np.empty((0, 2), np.int64)
    for shift in range(0, 64, _BAND):
        band = (hashes >> np.uint64(shift)).astype(np.int64) & ((1 << _BAND) - 1)
        # Ordered by band, then by red: those that a row may be near to follow it, up to some place.
        key = band * 1024 + colours[:, 0]
        order = np.argsort(key, kind="stable")
        end = np.searchsorted(key[order], key[order] + COLOUR, side="right")
        forest = _grown(forest, order, end, hashes[order], colours[order])
    return forest


def _grown(
    forest: Pairs,
    order: NDArray[np.int64],
    end: NDArray[np.int64],
    hashes: NDArray[np.uint64],
    colours: NDArray[np.int16],
) -> Pairs:
    """The forest, grown by the near duplicates among rows and those that follow them.

    Args:
        forest: pairs of rows.
        order: of the rows; the other arguments are in this order.
        end: the place up to which each row is compared with those that follow.
        hashes, colours: of the rows.
    """
    joined = _Joined(forest, order)
    first = np.flatnonzero(end - np.arange(len(order)) > 1)
    second, found, held, step = first + 1, [forest], 0, 1
    while len(first):
        near = np.bitwise_count(hashes[first] ^ hashes[second]) <= NEAR
        one, other = first[near], second[near]
        alike = (np.abs(colours[one] - colours[other]) <= COLOUR).all(axis=1)
        if alike.any():
            found.append(np.stack([order[one[alike]], order[other[alike]]], axis=1))
            held += len(found[-1])
        step += 1
        if step & (step - 1) == 0 or held > _HELD:
            joined = _Joined(_forest(len(order), found), order)
            found, held = [joined.forest], 0
        first, second = joined.ahead(first, second + 1, end)
    return _forest(len(order), found)


class _Joined:
    """What is connected so far, for rows in an order: connected rows need not be compared."""

    def __init__(self, forest: Pairs, order: NDArray[np.int64]) -> None:
        self.forest = forest
        self._group = components(len(order), forest)[order]
        changes = np.r_[np.flatnonzero(np.diff(self._group)) + 1, len(order)]
        self._run_end = changes[np.searchsorted(changes, np.arange(len(order)), side="right")]

    def ahead(
        self, first: NDArray[np.int64], second: NDArray[np.int64], end: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The places still to be compared, where ``second`` moves past the rows that ``first`` is connected to."""
        within = second < end[first]
        first, second = first[within], second[within]
        second = np.where(self._group[first] == self._group[second], self._run_end[second], second)
        within = second < end[first]
        return first[within], second[within]


def _forest(rows: int, found: list[Pairs]) -> Pairs:
    """As few of the pairs as connect what all of them connect."""
    pairs = np.concatenate(found)
    graph = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(rows, rows))
    tree = minimum_spanning_tree(graph).tocoo()
    return np.stack([tree.row, tree.col], axis=1).astype(np.int64)

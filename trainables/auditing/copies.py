"""Copies in a data set: which images show the same thing, and small pictures of some of them side by side."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from trainables.contract import Config
from trainables.data.duplicates import Pairs, chained, components, near_duplicates
from trainables.data.manifest import Manifest
from trainables.indexing.content import read_content
from trainables.indexing.decode import UnusableImageError, decode

LISTED, PICTURED = 500, 12
"""Pairs that are listed, and shown, at most."""

_SIDE, _GAP = 96, 4


class Pair(Config):
    """Two images that show the same thing.

    Attributes:
        kind: ``equal``: the same pixels; ``near``: nearly the same.
        first, second: their paths; of: generator and split of each.
        crosses: what divides them: ``class``, ``generator``, ``split``, or nothing.
        picture: name of the picture that shows both; blank for none.
    """

    kind: str
    first: str
    second: str
    of: tuple[str, str]
    crosses: str = ""
    picture: str = ""


class Copies(Config):
    """What is told of copies.

    Attributes:
        files: usable files that show what another one shows, directly or through others.
        equal: those whose pixels are the pixels of an earlier file.
        near: those that have a copy that is nearly, not exactly, the same.
        across: those that have a copy, directly or through others, of another class, generator or split.
        linked: pairs that connect all of them, fewer than twice the files.
        pairs: the first ``LISTED`` of these, those that cross most first.
    """

    files: int = 0
    equal: int = 0
    near: int = 0
    across: int = 0
    linked: int = 0
    pairs: tuple[Pair, ...] = ()


_READ = [
    *("folder", "path", "offset", "bytes", "label", "generator", "split"),
    *("pixels", "perceptual", "red", "green", "blue"),
]
_CROSSINGS = {"class": "label", "generator": "generator", "split": "split"}


def find_copies(manifest: Manifest) -> tuple[Copies, dict[str, bytes]]:
    """The copies among a manifest's usable files, and pictures of the first, PNG files by name.

    A file that is gone, or no image any more, has no picture.
    """
    rows = manifest.frame.loc[manifest.frame["problem"] == "", _READ].reset_index(drop=True)
    pixels = rows["pixels"].factorize()[0]
    pairs = _linked(rows, pixels)
    near = pixels[pairs[:, 0]] != pixels[pairs[:, 1]]
    counts = _counted(rows, pixels, pairs, near)
    sides = {name: rows[column].factorize()[0][pairs] for name, column in _CROSSINGS.items()}
    differ = pd.DataFrame({name: each[:, 0] != each[:, 1] for name, each in sides.items()})
    # The worst first; of equals those that are not plain copies of a file.
    order = differ.assign(near=near).sort_values([*_CROSSINGS, "near"], ascending=False, kind="stable").index
    shown: list[Pair] = []
    pictures: dict[str, bytes] = {}
    for position in order[:LISTED]:
        both = (rows.iloc[pairs[position, 0]], rows.iloc[pairs[position, 1]])
        crossed = [name for name in _CROSSINGS if differ[name].iloc[position]]
        pair = _pair(*both, "near" if near[position] else "equal", crossed[0] if crossed else "")
        if len(pictures) < PICTURED and (picture := _side_by_side(manifest, both)):
            pair = pair.model_copy(update={"picture": f"copies_{len(pictures):02}.png"})
            pictures[pair.picture] = picture
        shown.append(pair)
    return counts.model_copy(update={"pairs": tuple(shown)}), pictures


def _linked(rows: pd.DataFrame, pixels: NDArray[np.int64]) -> Pairs:
    """Pairs that connect what shows the same thing: equal pixels, those of flat images too, and near duplicates."""
    near = near_duplicates(rows)
    near = near[pixels[near[:, 0]] != pixels[near[:, 1]]]
    return np.concatenate([chained(pixels), near])


def _counted(rows: pd.DataFrame, pixels: NDArray[np.int64], pairs: Pairs, near: NDArray[np.bool_]) -> Copies:
    """How many files have copies.

    Args:
        pixels: (N,) one number an image, whatever files show it; pairs: (P, 2) from ``_linked``; near: (P,) whether
            the two differ.
    """
    groups = components(len(rows), pairs)
    by_group = rows.groupby(groups)
    divided = (by_group[list(_CROSSINGS.values())].nunique() > 1).any(axis=1).to_numpy()
    return Copies(
        files=int((by_group.size().to_numpy()[groups] > 1).sum()),
        equal=int(rows["pixels"].duplicated().sum()),
        # Every image with a near duplicate is in a pair with one, though not all files that show it are.
        near=int(np.isin(pixels, pixels[pairs[near]]).sum()),
        across=int(divided[groups].sum()),
        linked=len(pairs),
    )


def _pair(first: pd.Series[str], second: pd.Series[str], kind: str, crosses: str) -> Pair:
    of = tuple(f"{row['generator']}, {row['split']}" for row in (first, second))
    return Pair(kind=kind, first=first["path"], second=second["path"], of=(of[0], of[1]), crosses=crosses)


def _side_by_side(manifest: Manifest, rows: tuple[pd.Series[str], pd.Series[str]]) -> bytes | None:
    try:
        images = list(_thumbnails(manifest, rows))
    except (OSError, UnusableImageError):
        return None
    canvas = Image.new("RGB", (sum(i.width for i in images) + _GAP, max(i.height for i in images)), "white")
    canvas.paste(images[0], (0, 0))
    canvas.paste(images[1], (images[0].width + _GAP, 0))
    content = io.BytesIO()
    canvas.save(content, "PNG")
    return content.getvalue()


def _thumbnails(manifest: Manifest, rows: tuple[pd.Series[str], pd.Series[str]]) -> Iterator[Image.Image]:
    for row in rows:
        root = manifest.roots[int(row["folder"])]
        image = decode(read_content(root, row["path"], int(row["offset"]), int(row["bytes"]))).image
        image.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
        yield image

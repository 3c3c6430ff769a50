"""Copies in a data set: which images show the same thing, and small pictures of some of them side by side."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pandas as pd
from PIL import Image

from trainables.contract import Config
from trainables.data.duplicates import near_duplicates
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
        equal: usable files whose pixels are those of an earlier one.
        near: pairs of images that are nearly the same.
        across: pairs, of either kind, that are divided by class, generator or split.
        pairs: the first ``LISTED`` of them, those that cross most first.
    """

    equal: int = 0
    near: int = 0
    across: int = 0
    pairs: tuple[Pair, ...] = ()


_CROSSINGS = {"class": "label", "generator": "generator", "split": "split"}


def find_copies(manifest: Manifest) -> tuple[Copies, dict[str, bytes]]:
    """The copies among a manifest's usable files, and pictures of the first, PNG files by name.

    A file that is gone, or no image any more, has no picture.
    """
    rows = manifest.frame[manifest.frame["problem"] == ""].reset_index(drop=True)
    pairs = near_duplicates(rows)
    first, second = rows.iloc[pairs[:, 0]].reset_index(drop=True), rows.iloc[pairs[:, 1]].reset_index(drop=True)
    differ = pd.DataFrame({name: first[column] != second[column] for name, column in _CROSSINGS.items()})
    near = first["pixels"] != second["pixels"]
    # The worst first; of equals those that are not plain copies of a file.
    order = differ.assign(near=near).sort_values([*_CROSSINGS, "near"], ascending=False, kind="stable").index
    shown: list[Pair] = []
    pictures: dict[str, bytes] = {}
    for position in order[:LISTED]:
        both = (first.iloc[position], second.iloc[position])
        crossed = [name for name in _CROSSINGS if differ[name].iloc[position]]
        pair = _pair(*both, "near" if near.iloc[position] else "equal", crossed[0] if crossed else "")
        if len(pictures) < PICTURED and (picture := _side_by_side(manifest, both)):
            pair = pair.model_copy(update={"picture": f"copies_{len(pictures):02}.png"})
            pictures[pair.picture] = picture
        shown.append(pair)
    copies = Copies(
        equal=int(rows.duplicated("pixels").sum()),
        near=int(near.sum()),
        across=int(differ.any(axis=1).sum()),
        pairs=tuple(shown),
    )
    return copies, pictures


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

"""Scores from outside: a table of what any other detector says of the images, read as P(fake) and checked.

Such a detector can be evaluated, compared and calibrated; it cannot be trained, adapted, attacked or looked into, for
there is nothing of it but its scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from trainables.contract import Config
from trainables.errors import InputError, nearest
from trainables.indexing.rows import column_names, read_rows

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 5
"""Images that an error names, beside how many there are."""


class ScoreTable(Config):
    """Where the scores are, and what they mean.

    Attributes:
        file: CSV (UTF-8, commas, a line of names) or Parquet, one row an image.
        image: the column that names it: by its path below its data folder, by the name of its file, or by the digest of
            its content, as score tables of this project have it; a table may mix them.
        score: the column of numbers.
        scale: ``probability``, 0 to 1, or ``logit``, any number, 0 where the detector wavers.
        fake: whether fakes have ``high`` scores or ``low`` ones.
    """

    file: Path
    image: str = "image"
    score: str = "score"
    scale: Literal["probability", "logit"] = "probability"
    fake: Literal["high", "low"] = "high"


def read_scores(table: ScoreTable) -> dict[str, float]:
    """P(fake) in [0, 1], by what the table calls an image.

    A row that says again what another says counts once.

    Raises:
        InputError: no such file or column; a score that is no number or out of range; rows that disagree about an
            image; fewer than two images; or one score for all. The message says how many, and names a few.
    """
    given = _given(table)
    outside = [name for name, value in given.items() if not _in_range(table, value)]
    if outside:
        fix = "write `scale: logit` if they are any numbers, or correct them"
        raise _about(table, "scores are not in [0, 1]", outside, fix)
    if len(set(given.values())) < 2:
        problem = "all images have one score" if given else "the table has no rows"
        raise InputError(problem, where=str(table.file), fix=f"is `{table.score}` the column of scores?")
    return {name: _probability(table, value) for name, value in given.items()}


def looked_up(scores: Mapping[str, float], images: pd.DataFrame, known: pd.DataFrame) -> NDArray[np.float64]:
    """(N,) P(fake) of images in their order: by digest, else by path, else by a file name that only one image has.

    Args:
        scores: of ``read_scores``.
        images: columns ``digest`` and ``path`` of a manifest, one row for each image wanted.
        known: the same of all images of the manifest, among which a file name is to be the only one. Copies of one
            content are one image, and so are paths that two data folders have in common if they hold the same.

    Raises:
        InputError: images have no score, different images one name that is scored, or copies of one different scores;
            the message says how many, and names a few.
    """
    ways = known["path"].map(_file_name), known["path"], known["digest"]
    found = {digest: score for names in ways for digest, score in _by_digest(scores, names, known["digest"]).items()}
    values = np.array([found.get(digest, math.nan) for digest in images["digest"]], dtype=np.float64)
    if (missing := np.isnan(values)).any():
        raise _missing(images["path"].to_numpy(object)[missing].tolist(), len(images), scores, known)
    return values


def _given(table: ScoreTable) -> dict[str, float]:
    """The numbers of the file by image."""
    columns = column_names(table.file)
    for key, column in (("image", table.image), ("score", table.score)):
        if column not in columns:
            problem, fix = "the table has no such column", nearest(column, columns)
            raise InputError(problem, where=f"{table.file}: `{key}`", value=column, fix=fix)
    found: dict[str, float] = {}
    disagreeing: dict[str, None] = {}
    for place, row in read_rows(table.file, [table.image, table.score]):
        name, value = _name(row[table.image]), _number(row[table.score], f"{table.file}: {place}")
        if found.setdefault(name, value) != value:
            disagreeing[name] = None
    if disagreeing:
        fix = "keep one row an image; name images by their paths where different ones have one file name"
        raise _about(table, "rows disagree about an image", list(disagreeing), fix)
    return found


def _name(given: object) -> str:
    return str(given).strip().replace("\\", "/").removeprefix("./")


def _number(given: object, where: str) -> float:
    try:
        value = float(str(given))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError("not a score", where=where, value=given, fix="give a number, or leave the row out")
    return value


def _in_range(table: ScoreTable, value: float) -> bool:
    return table.scale == "logit" or 0 <= value <= 1


def _probability(table: ScoreTable, value: float) -> float:
    """P(fake); ``1 / (1 + exp(-z))`` of a logit z, without overflow."""
    high = value if table.scale == "probability" else (1 + math.tanh(value / 2)) / 2
    return high if table.fake == "high" else 1 - high


def _by_digest(scores: Mapping[str, float], names: pd.Series[str], digests: pd.Series[str]) -> dict[str, float]:
    """The scores of contents under these names of theirs.

    Raises:
        InputError: the table scores a name that different images have, or gives copies of one image different scores.
    """
    import pandas as pd

    named = pd.DataFrame({"name": names.to_numpy(object), "digest": digests.to_numpy(object)}).drop_duplicates()
    named = named[named["name"].isin(scores.keys())]
    if len(several := named["name"][named["name"].duplicated()].unique().tolist()):
        problem = f"{_count(several, 'name')} that several images have"
        fix = "name images by their paths below the data folder, or by their digests"
        raise InputError(problem, value=_few(several), fix=fix)
    named["score"] = named["name"].map(scores)
    differing = named.groupby("digest")["score"].transform("nunique") > 1
    if len(copies := named["name"][differing].tolist()):
        fix = "give them one score, or leave all but one out"
        raise InputError("copies of one image have different scores", value=_few(copies), fix=fix)
    return dict(zip(named["digest"], named["score"], strict=True))


def _missing(paths: Sequence[str], wanted: int, scores: Mapping[str, float], known: pd.DataFrame) -> InputError:
    names = {*known["path"], *known["path"].map(_file_name), *known["digest"]}
    strange = sum(name not in names for name in scores)
    fix = "add their rows"
    if strange:
        fix += (
            f"; {strange} of the table's {len(scores)} rows name no image of the data: are its paths below the folder?"
        )
    return InputError(f"{len(paths)} of {wanted} images have no score", value=_few(paths), fix=fix)


def _about(table: ScoreTable, problem: str, names: Sequence[str], fix: str) -> InputError:
    return InputError(f"{problem} ({_count(names, 'image')})", where=str(table.file), value=_few(names), fix=fix)


def _count(names: Sequence[str], what: str) -> str:
    return f"{len(names)} {what}{'' if len(names) == 1 else 's'}"


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:EXAMPLES]) + (", …" if len(names) > EXAMPLES else "")


def _file_name(path: str) -> str:
    return path.rpartition("/")[2]

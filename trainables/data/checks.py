"""What makes data unfit for an honest experiment, whatever the single images are like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from trainables.errors import InputError

LISTED = 20
"""Files, or pairs of them, that a message names at most."""


def listing(lines: Sequence[str], count: int) -> str:
    """The first lines of so many, one below the other, and how many more there are."""
    more = [f"and {count - LISTED} more"] if count > LISTED else []
    return "".join(f"\n  {line}" for line in [*lines[:LISTED], *more])


def on_one_line(path: str) -> str:
    """A path as a message shows it, whatever is in its name."""
    return path if path.isprintable() else repr(path)[1:-1]


def shown(rows: pd.DataFrame, roots: Sequence[Path]) -> list[str]:
    """How messages name these files: by path below the data folder, or the whole path where there are several."""
    if len(roots) == 1:
        return [on_one_line(path) for path in rows["path"]]
    both = zip(rows["folder"], rows["path"], strict=True)
    return [on_one_line(str(roots[folder] / path)) for folder, path in both]


def refuse_unusable(frame: pd.DataFrame, root: Path, *, unfit: bool = False) -> None:
    """A file that is no usable image must be looked at, or left out by the user's own word.

    Args:
        frame: columns ``path`` and ``problem``.
        root: the data folder.
        unfit: whether some of the files are sound, and only too small for the study's preprocessing.
    """
    bad = frame[frame["problem"] != ""]
    if bad.empty:
        return
    first = zip(bad["path"][:LISTED], bad["problem"][:LISTED], strict=True)
    lines = [f"{on_one_line(path)}: {problem}" for path, problem in first]
    count = "1 file is no usable image" if len(bad) == 1 else f"{len(bad)} files are no usable images"
    smaller = "choose a smaller `preprocess.size`, or `fit: resize`; " if unfit else ""
    fix = f"{smaller}mend or remove them, or say `unusable: skip` to leave them out"
    raise InputError(f"{count}{listing(lines, len(bad))}", where=str(root), fix=fix)


def refuse_shared_names(frame: pd.DataFrame) -> None:
    """A name means a fake generator or a real source, never both."""
    labels = frame.groupby("generator")["label"].nunique()
    for name in labels.index[labels > 1]:
        fix = "give one of them another name: `rename`"
        raise InputError("a real source and a fake generator have one name", where="data", value=name, fix=fix)


def refuse_mixed_families(frame: pd.DataFrame) -> None:
    """A generator belongs to one family, and only real sources to ``real``."""
    families = frame.groupby(["generator", "family", "label"], sort=True).size().reset_index()
    wrong = families[(families["family"] == "real") != (families["label"] == 0)]
    for name, family in zip(wrong["generator"], wrong["family"], strict=True):
        problem = f"{name}: family `real` is for real images, and for all of them"
        raise InputError(problem, where="data", value=family, fix="correct it where it is said, or in `families`")
    for name in families["generator"][families.duplicated("generator")]:
        found = ", ".join(families["family"][families["generator"] == name])
        problem = f"a generator is in two families: {name}"
        raise InputError(problem, where="data", value=found, fix="say which in `families`, or `rename` one part of it")


def refuse_missing_class(frame: pd.DataFrame) -> None:
    """A detector tells two classes apart, so there must be usable images of both."""
    labels = set(frame.loc[frame["problem"] == "", "label"].unique())
    if not labels:
        path, problem = frame.iloc[0][["path", "problem"]]
        fix = "all files are left out, each for such a reason: mend them, or take others"
        raise InputError("there are no usable images", where="data", value=f"{path}: {problem}", fix=fix)
    if len(labels) == 1:
        there, missing = ("real", "fake") if labels == {0} else ("fake", "real")
        fix = f"add a folder with {missing} images to `data`, or take more generators of those that are there"
        raise InputError(f"all usable images are {there}: there are no {missing} ones", where="data", fix=fix)


def refuse_shared_images(usable: pd.DataFrame, roots: Sequence[Path]) -> None:
    """An image has one origin: it is not of two generators, and not both real and fake.

    Real sources may share images, as published sets do that pair the same photographs with several generators.
    """
    origins = usable.loc[usable.duplicated("pixels", keep=False), ["folder", "path", "label", "generator", "pixels"]]
    origins = origins.drop_duplicates(["pixels", "generator"]).sort_values(["pixels", "folder", "path"])
    fakes = origins.groupby("pixels")["label"].transform("max")
    several = origins[(fakes == 1) & origins.duplicated("pixels", keep=False)]
    if several.empty:
        return
    again = several.duplicated("pixels")
    later = several[again].head(LISTED)
    first = several[~again].set_index("pixels").loc[later["pixels"]]
    lines = [
        f"{one} ({of}) and {other} ({of_other})"
        for one, of, other, of_other in zip(
            shown(first, roots), first["generator"], shown(later, roots), later["generator"], strict=True
        )
    ]
    many = f"{again.sum()} files show images of other generators, or of the other class"
    count = "1 file shows an image of another generator, or of the other class" if len(lines) == 1 else many
    fix = "remove one of each, or give the generators one name with `rename`, or take only one of them"
    raise InputError(f"{count}{listing(lines, int(again.sum()))}", where="data", fix=fix)

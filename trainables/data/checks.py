"""What makes a data folder unfit for an honest experiment, whatever its images."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from trainables.errors import InputError


def refuse_mixed_families(frame: pd.DataFrame, root: Path) -> None:
    """A generator belongs to one family, and only real sources to ``real``."""
    families = frame.groupby("generator")["family"].agg(["nunique", "first"])
    for name in families.index[families["nunique"] > 1]:
        raise InputError("a generator is in two families", where=str(root), value=name)
    wrong = frame[(frame["family"] == "real") != (frame["label"] == 0)]
    if len(wrong):
        problem = f"{wrong.index[0]}: family `real` is for real images, and for all of them"
        raise InputError(problem, where=str(root), value=wrong["family"].iloc[0])


def refuse_divided_groups(frame: pd.DataFrame, root: Path) -> None:
    """A group (a scene, a person, a prompt) is in one split, or what is learnt of it would be tested on it."""
    splits = frame.groupby("group")["split"].nunique()
    for group in splits.index[splits > 1]:
        rows = frame[frame["group"] == group].drop_duplicates("split")
        both = " and ".join(f"{path} ({split})" for path, split in zip(rows.index, rows["split"], strict=True))
        fix = "give all images of a group one split, or leave the column `split` blank"
        raise InputError(f"a group is divided between splits: {both}", where=str(root), value=group, fix=fix)


def refuse_repeated_bytes(frame: pd.DataFrame, root: Path) -> None:
    """The same file may be in one generator twice, where it counts once, but not in two generators or splits."""
    usable = frame[frame["problem"] == ""]
    repeated = usable[usable.duplicated("digest", keep=False)]
    for _, rows in repeated.groupby("digest", sort=False):
        for column, fix in (
            ("generator", "an image has one origin: remove one of them"),
            ("split", "remove one of them, or give them one split"),
        ):
            if rows[column].nunique() > 1:
                first, second = rows.drop_duplicates(column).index[:2]
                problem = f"the same bytes are in two {column}s: {first} and {second}"
                raise InputError(problem, where=str(root), fix=fix)

"""The index of a data folder: one row an image, what its layout says of it and what its bytes say; kept as Parquet.

Reading images takes hours where there are a million of them, so none is read twice: the facts of an image are known
from an earlier call if path, place in its file, size and time of change are the same. What the layout says is always
taken afresh. Rows live in Arrow columns from the first to the last step: as Python objects a million of them would
take gigabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trainables.contract import Config
from trainables.errors import InputError
from trainables.indexing.content import climbs
from trainables.indexing.examining import Examine, Progress, Save, examine_all, examine_in_threads
from trainables.indexing.found import Found
from trainables.indexing.kept import FACTS, FOUND, INDEX, KEY, READ, Kept, rows_to_batch
from trainables.indexing.recognise import recognise
from trainables.registry import find
from trainables.writing import locked

_CHUNK = 16_384


@dataclass(frozen=True, eq=False)
class Index:
    """What is known of a folder's images.

    Attributes:
        root: the folder.
        layout: registry name of its layout.
        frame: one row an image, ordered by path: the columns of ``Found`` and of ``Facts``.
    """

    root: Path
    layout: str
    frame: pd.DataFrame


def index_folder(
    root: Path,
    *,
    layout: str | None = None,
    config: Config | None = None,
    kept: Path | None = None,
    examine: Examine | None = None,
    progress: Progress | None = None,
) -> Index:
    """Everything there is to know of a folder's images; every new or changed image is decoded once.

    Args:
        root: the data folder.
        layout: registry name; recognised from the tree if not given.
        config: the layout's parameters; its defaults if not given.
        kept: Parquet file that holds what is known from one call to the next, an interrupted one included; without it
            everything is read and nothing is written.
        examine: who reads the images; threads of this process if not given.
        progress: called now and then.

    Raises:
        InputError: the layout is not recognised or does not fit; there are no images; the disk is full.
    """
    root = Path(root).absolute()
    if not root.is_dir():
        raise InputError("the data folder does not exist", where=str(root), fix="put the images there, or correct it")
    layout = layout or recognise(root)
    member = find("layouts", layout)
    found = found_table(member.load().scan(config or member.config(), root), root)
    return index_found(root, layout, found, kept=kept, examine=examine, progress=progress)


def found_table(images: Iterable[Found], root: Path) -> pa.Table:
    """What a layout says, one row an image, ordered by path.

    Raises:
        InputError: there are no images; a path comes twice, is not Unicode, or leads out of the folder.
    """
    images, batches = iter(images), []
    while chunk := list(islice(images, _CHUNK)):
        try:
            batches.append(rows_to_batch(chunk, FOUND))
        except UnicodeEncodeError as error:
            fix = "rename the file: its name is not UTF-8"
            raise InputError("a path is not Unicode", where=str(root), value=error.object, fix=fix) from error
    if not batches:
        raise InputError("there are no images in this folder", where=str(root), fix="put images there")
    table = pa.Table.from_batches(batches).sort_by("path").combine_chunks()
    _refuse_climbing(table, root)
    repeated = pc.equal(table["path"][1:], table["path"][:-1])
    if pc.any(repeated).as_py():
        twice = table["path"][1:].filter(repeated)[0].as_py()
        raise InputError("the layout gives one path twice", where=str(root), value=twice, fix="remove one of them")
    return table


def _refuse_climbing(table: pa.Table, root: Path) -> None:
    suspect = table.filter(pc.match_substring_regex(table["path"], r"^/|(^|/)\.\.(/|$)"))
    for path, offset in zip(suspect["path"].to_pylist(), suspect["offset"].to_pylist(), strict=True):
        if climbs(path, offset):
            fix = "the layout must give paths below the folder, without `..`"
            raise InputError("a path leads out of the data folder", where=str(root), value=path, fix=fix)


def index_found(
    root: Path,
    layout: str,
    found: pa.Table,
    *,
    kept: Path | None = None,
    examine: Examine | None = None,
    progress: Progress | None = None,
) -> Index:
    """The index of images that a layout has found; the rest of ``index_folder``.

    Args:
        found: from ``found_table``.
    """

    def read(known: pa.Table, save: Save | None = None) -> pa.Table:
        unread = found.select(KEY).filter(pc.is_null(_places(found, known)))
        new = examine_all(root, unread, examine or examine_in_threads, save=save, progress=progress)
        return _joined(found, pa.concat_tables([new, known]))

    table = read(READ.empty_table()) if kept is None else _brought_up_to_date(Kept(kept, root, layout), found, read)
    return Index(root=root, layout=layout, frame=table.to_pandas(split_blocks=True, self_destruct=True))


def _brought_up_to_date(store: Kept, found: pa.Table, read: Callable[..., pa.Table]) -> pa.Table:
    """The index as it is now, kept if it is not what was kept already."""
    index = store.index()
    if index is not None and _still_holds(index, found) and not store.parts.exists():
        return index
    del index
    with locked(store.lock):
        index = store.index()  # again: who held the lock may have read everything
        table = read(store.known(index), store.save)
        if index is None or not index.equals(table):
            store.replace(table)
        store.clear()
    return table


def _still_holds(index: pa.Table, found: pa.Table) -> bool:
    """Whether the layout says what it said, and every file could be read."""
    return index.select(FOUND.names).equals(found) and not pc.any(pc.equal(index["digest"], "")).as_py()


def _places(found: pa.Table, known: pa.Table) -> pa.ChunkedArray:
    """Where each image is in what is known; null if it is new, or has changed since."""
    places = pc.index_in(found["path"], value_set=known["path"])
    same = pc.is_valid(places)
    for name in KEY:
        same = pc.and_(same, pc.fill_null(pc.equal(found[name], known[name].take(places)), False))
    return pc.if_else(same, places, None)


def _joined(found: pa.Table, known: pa.Table) -> pa.Table:
    """The columns of both, for the images found."""
    facts = known.select(FACTS.names).take(pc.index_in(found["path"], value_set=known["path"]))
    return pa.Table.from_arrays([*found.columns, *facts.columns], schema=INDEX).combine_chunks()

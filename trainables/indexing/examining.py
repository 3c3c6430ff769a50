"""Many images examined: in threads of this process or elsewhere, told of as they go, and saved now and then."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import overload

import pyarrow as pa

from trainables.indexing.examine import Facts, examine, one_opencv_thread
from trainables.indexing.kept import FACTS, READ, rows_to_batch
from trainables.indexing.threads import map_in_threads

Item = tuple[str, int, int, int]
"""path, offset, bytes, modified of an image that is to be examined."""

Examine = Callable[[Path, Sequence[Item]], Generator[list[Facts], None, None]]
"""Facts of many images in the items' order, some at a time. It is closed when no more are wanted."""

Progress = Callable[[int, int], None]
"""Called with how many images are read and how many are to be read; never if all are known."""

Save = Callable[[pa.Table], None]
"""Called with columns ``KEY`` and facts of some thousand images that have just been read."""

PART = 2000
"""Images that are read between one save and the next."""


def examine_in_threads(root: Path, items: Sequence[Item]) -> Generator[list[Facts], None, None]:
    """Facts of many images, read by threads of this process; an ``Examine``."""
    with one_opencv_thread(), closing(map_in_threads(lambda item: examine(root, *item), items)) as chunks:
        yield from chunks


def examine_all(
    root: Path, unread: pa.Table, examine: Examine, *, save: Save | None = None, progress: Progress | None = None
) -> pa.Table:
    """``KEY`` and facts of images; what is read before something goes wrong is saved.

    Args:
        root: the data folder.
        unread: columns ``KEY``.
        examine: who reads them.
        save: called with every part as soon as it is read.
        progress: called now and then.
    """
    parts = _Parts(unread, save)
    if len(unread):
        tell = progress or _nobody
        tell(0, len(unread))
        with parts, closing(examine(root, _Items(unread))) as chunks:
            for facts in chunks:
                parts.add(facts)
                tell(parts.done, len(unread))
    return pa.concat_tables([READ.empty_table(), *parts.whole])


def _nobody(done: int, total: int) -> None:
    del done, total


class _Parts:
    """Facts as they come, gathered into tables of ``PART`` rows; on leaving, the rest into one more.

    Args:
        keys: columns ``KEY`` of the images they are of, in their order.
        save: called with every table.
    """

    def __init__(self, keys: pa.Table, save: Save | None) -> None:
        self._keys, self._save = keys, save
        self._facts: list[Facts] = []
        self.whole: list[pa.Table] = []
        self.done = 0

    def add(self, facts: Sequence[Facts]) -> None:
        self._facts += facts
        self.done += len(facts)
        if len(self._facts) >= PART:
            self._close()

    def __enter__(self) -> _Parts:
        return self

    def __exit__(self, *error: object) -> None:
        if self._facts:
            self._close()

    def _close(self) -> None:
        facts, count = rows_to_batch(self._facts, FACTS), len(self._facts)
        keys = self._keys.slice(self.done - count, count)
        part = pa.Table.from_arrays([*keys.columns, *facts.columns], schema=READ)
        if self._save:
            self._save(part)
        self.whole.append(part)
        self._facts.clear()


class _Items(Sequence[Item]):
    """Rows of a table as tuples, made when they are asked for."""

    def __init__(self, keys: pa.Table) -> None:
        self._keys = keys

    def __len__(self) -> int:
        return int(self._keys.num_rows)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        if isinstance(index, int):
            return self[index : index + 1][0]
        start, stop, _ = index.indices(len(self))
        return list(zip(*(column.to_pylist() for column in self._keys.slice(start, stop - start).columns), strict=True))

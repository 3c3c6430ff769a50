"""Several image sets one after the other, their pixels read from the memory maps when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.contract import Images, Pixels


class Stack:
    """Arrays end to end along their first axis, as one (N, H, W, 3) uint8 array that is never made whole.

    Indexing with an integer, a slice, an integer array or a mask copies those images out, like NumPy's.

    Args:
        parts: at least one, (N_i, H, W, 3); memory maps stay memory maps, also in another process.
        order: (N,) positions of the images in the parts, end to end; as they stand if not given.
    """

    def __init__(self, parts: Sequence[Pixels], order: NDArray[np.int64] | None = None) -> None:
        self.parts = tuple(parts)
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        self._order = order

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W, 3)."""
        return (len(self), *self.parts[0].shape[1:])

    def __len__(self) -> int:
        return int(self._starts[-1]) if self._order is None else len(self._order)

    def __getitem__(self, index: Any, /) -> NDArray[np.uint8]:
        positions = positions_of(index, len(self))
        if self._order is not None:
            positions = self._order[positions]
        flat = np.atleast_1d(positions)
        pixels = np.empty((len(flat), *self.shape[1:]), np.uint8)
        owners = np.searchsorted(self._starts, flat, side="right") - 1
        for k in np.unique(owners):
            here = owners == k
            pixels[here] = self.parts[k][flat[here] - self._starts[k]]
        return pixels.reshape(*positions.shape, *self.shape[1:])

    def distinct(self) -> tuple[list[Stack], NDArray[np.int64] | slice]:
        """The images that it reads, each once: a set for every part, in the part's order.

        Returns:
            Those sets, and the index that makes of them, end to end, this array.
        """
        if self._order is None:
            return [Stack([part]) for part in self.parts if len(part)], slice(None)
        positions, places = np.unique(self._order, return_inverse=True)
        bounds = np.searchsorted(positions, self._starts)
        read = [positions[first:last] for first, last in pairwise(bounds)]
        starts = self._starts[:-1]
        sets = [Stack([p], at - start) for p, at, start in zip(self.parts, read, starts, strict=True) if len(at)]
        return sets, places

    def __reduce__(self) -> tuple[object, ...]:
        # A memory map would travel as its contents.
        parts = [Path(p.filename) if isinstance(p, np.memmap) and p.filename else p for p in self.parts]
        return (_rebuild, (parts, self._order))


def together(sets: Sequence[Images], order: NDArray[np.int64] | None = None) -> Images:
    """The images of all sets one after the other, of which no pixel is copied.

    Args:
        order: positions in that row, some perhaps several times; each once if not given.
    """
    if order is None:
        order = np.arange(sum(len(images) for images in sets))
    ids = [name for images in sets for name in images.ids]
    generators = [name for images in sets for name in images.generators]
    return Images(
        pixels=Stack([images.pixels for images in sets], order),
        labels=np.concatenate([images.labels for images in sets])[order],
        ids=[ids[i] for i in order],
        generators=[generators[i] for i in order],
    )


def _rebuild(parts: Sequence[Path | Pixels], order: NDArray[np.int64] | None) -> Stack:
    return Stack([open_pixels(part) if isinstance(part, Path) else part for part in parts], order)


def positions_of(index: Any, count: int) -> NDArray[np.int64]:
    """The positions that an index picks out of ``count`` images: what ``np.arange(count)[index]`` gives.

    Raises:
        IndexError: as NumPy's.
    """
    if isinstance(index, np.ndarray) and index.dtype.kind == "i":
        # Batches come this way, and to list a million images for each of them would take longer than to read it.
        if len(outside := index[(index < -count) | (index >= count)]):
            raise IndexError(f"index {outside[0]} is out of bounds for {count} images")
        return np.where(index < 0, index + count, index)
    return np.arange(*index.indices(count)) if isinstance(index, slice) else np.arange(count)[index]


def open_pixels(file: Path) -> NDArray[np.uint8]:
    """A .npy file of pixels as a read-only memory map."""
    return np.load(file, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]

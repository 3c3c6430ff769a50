"""Which images make up which step: the same for every worker and for a run that was interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from trainables.augment import NOTHING, Augment, Change, changed
from trainables.contract import Pixels
from trainables.seeding import generator

Index = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Batch:
    """One worker's share of one step.

    Attributes:
        index: positions in the image set.
        flip: which of them are mirrored, left to right.
        changes: what else becomes of each; empty: nothing, for all of them.
    """

    index: Index
    flip: Mask
    changes: tuple[Change, ...] = ()

    def of(self, pixels: Pixels) -> NDArray[np.uint8]:
        """Those images, (B, H, W, 3), mirrored and changed."""
        taken = pixels[self.index]
        for k in np.flatnonzero(self.flip):
            taken[k] = cv2.flip(taken[k], 1)  # NumPy's reversed copy takes 15 to 60 times as long
        return changed(taken, self.changes) if self.changes else taken

    def parts(self, count: int) -> list[Batch]:
        """The batch in so many parts, as equal as can be."""
        positions = np.array_split(np.arange(len(self.index)), count)
        return [self._part(chosen) for chosen in positions]

    def _part(self, chosen: Index) -> Batch:
        changes = tuple(self.changes[k] for k in chosen) if self.changes else ()
        return Batch(self.index[chosen], self.flip[chosen], changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The order of images in a whole training, a function of the seed alone.

    Every worker computes the same global batches and takes its own slice, so one step reads the same images
    whatever the number of workers.

    Args:
        seed: of the cell.
        count: labelled source images.
        batch: source images a step, over all workers.
        target: unlabelled target images; 0 if there are none.
        flips: mirror half of the images.
        augment: what else happens to them; drawn for each by its place in the epoch.
        rank, world_size: this worker among all.
    """

    seed: int
    count: int
    batch: int
    target: int = 0
    flips: bool = True
    augment: Augment = NOTHING
    rank: int = 0
    world_size: int = 1

    @property
    def steps(self) -> int:
        """Steps an epoch: full batches only, or one smaller batch if there are not enough images for a full one."""
        return max(1, self.count // self.batch)

    @property
    def size(self) -> int:
        """Source images a step, over all workers."""
        return min(self.batch, self.count)

    def epoch(self, epoch: int) -> Iterator[tuple[Batch, Batch | None]]:
        """The steps of an epoch: source images, and as many target images where there is a target."""
        order = generator(self.seed, "source", epoch).permutation(self.count)
        flips = generator(self.seed, "flips", epoch)
        target_flips = generator(self.seed, "target flips", epoch)
        for step in range(self.steps):
            place = step * self.size
            source = self._batch(order[place : place + self.size], flips, ("source", epoch, place))
            if not self.target:
                yield source, None
                continue
            index = _cycled(self.seed, self.target, epoch * self.steps * self.size + place, self.size)
            yield source, self._batch(index, target_flips, ("target", epoch, place))

    def _batch(self, index: Index, flips: np.random.Generator, place: tuple[str, int, int]) -> Batch:
        flip = flips.random(len(index)) < (0.5 if self.flips else 0.0)
        share = len(index) // self.world_size
        mine = slice(self.rank * share, (self.rank + 1) * share)
        return Batch(index[mine], flip[mine], self._changes(range(len(index))[mine], *place))

    def _changes(self, batch: range, domain: str, epoch: int, place: int) -> tuple[Change, ...]:
        if not self.augment.active:
            return ()
        streams = (generator(self.seed, "augment", domain, epoch, place + k) for k in batch)
        return tuple(self.augment.draw(stream) for stream in streams)


def _cycled(seed: int, count: int, start: int, size: int) -> Index:
    """Positions ``start`` to ``start + size`` of an endless series of permutations of ``count`` images."""
    positions = np.arange(start, start + size)
    rounds = positions // count
    parts = [_round(seed, count, int(r))[positions[rounds == r] % count] for r in np.unique(rounds)]
    return np.concatenate(parts)


@lru_cache(maxsize=4)
def _round(seed: int, count: int, number: int) -> Index:
    return generator(seed, "target", number).permutation(count)

"""Which images make up which step: the same for every worker and for a run that was interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from trainables.seeding import generator

Index = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Batch:
    """One worker's share of one step: positions in the image set, and which of them are mirrored."""

    index: Index
    flip: Mask

    def of(self, pixels: object) -> NDArray[np.uint8]:
        """Those images, (B, H, W, 3), mirrored where the mask says so."""
        taken: NDArray[np.uint8] = pixels[self.index]  # type: ignore[index]
        taken[self.flip] = taken[self.flip, :, ::-1]
        return taken

    def parts(self, count: int) -> list[Batch]:
        """The batch in so many parts, as equal as can be."""
        pairs = zip(np.array_split(self.index, count), np.array_split(self.flip, count), strict=True)
        return [Batch(index, flip) for index, flip in pairs]


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
        rank, world_size: this worker among all.
    """

    seed: int
    count: int
    batch: int
    target: int = 0
    flips: bool = True
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
            source = self._batch(order[step * self.size : (step + 1) * self.size], flips)
            if not self.target:
                yield source, None
                continue
            start = (epoch * self.steps + step) * self.size
            yield source, self._batch(_cycled(self.seed, self.target, start, self.size), target_flips)

    def _batch(self, index: Index, flips: np.random.Generator) -> Batch:
        flip = flips.random(len(index)) < (0.5 if self.flips else 0.0)
        share = len(index) // self.world_size
        mine = slice(self.rank * share, (self.rank + 1) * share)
        return Batch(index[mine], flip[mine])


def _cycled(seed: int, count: int, start: int, size: int) -> Index:
    """Positions ``start`` to ``start + size`` of an endless series of permutations of ``count`` images."""
    positions = np.arange(start, start + size)
    rounds = positions // count
    parts = [_round(seed, count, int(r))[positions[rounds == r] % count] for r in np.unique(rounds)]
    return np.concatenate(parts)


@lru_cache(maxsize=4)
def _round(seed: int, count: int, number: int) -> Index:
    return generator(seed, "target", number).permutation(count)

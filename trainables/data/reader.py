"""Images of a manifest, by generator and split: what the stages of a study read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainables.contract import Images, Pixels, Split, Unlabelled
from trainables.data.cache import bytes_of, cached_pixels
from trainables.data.manifest import Manifest
from trainables.data.preprocess import Preprocess
from trainables.data.sets import ImageSet
from trainables.data.stack import Stack
from trainables.data.stream import Stream
from trainables.errors import InputError, nearest

Key = tuple[str, Split]
"""Generator and split: what an image set is asked for by."""


class Reader:
    """Reads image sets: from the node's cache, where they are decoded once; or, beyond the budget, from their files.

    Which of the two it is makes no difference to a pixel. Nothing is decoded before it is asked for, and of images
    that are trained on no square is kept but those that training sees.

    Args:
        manifest: its unusable files, and those too small for the crop, are left out.
        preprocess: how an image becomes squares of pixels.
        cache: folder for decoded images.
        budget: bytes that the manifest's image sets may take there. Sets get their place in the order of
            ``Manifest.sets``, reals first, whether anything reads them or not; one that is too large for what is
            left is decoded whenever it is read. Nothing is removed from the cache.
    """

    def __init__(self, manifest: Manifest, preprocess: Preprocess, cache: Path, budget: float = 100e9) -> None:
        self._manifest, self._preprocess = manifest.fitting(preprocess), preprocess
        self._cache, self._budget = Path(cache), budget

    def images(
        self, generators: Sequence[str], split: Split, most: Mapping[str, int] | None = None, *, whole: bool = False
    ) -> Images:
        """The images of these generators and real sources in a split, in this order, each set ordered by digest.

        An image that several real sources have in common is among those of the first.

        Args:
            most: how many of some of them, the first in that order; all of those that are not named.
            whole: all squares of every image, in a split that is trained on too.

        Raises:
            InputError: one of them has no images in this split; see also ``cached_pixels``.
        """
        found = [self._find(generator, split) for generator in generators]
        seen = self._seen(split, whole)
        rows = pd.concat([self._rows(images)[["digest", "pixels"]] for images in found], ignore_index=True)
        owners = np.repeat(np.arange(len(found)), [images.count for images in found])
        kept = _among_first([images.count for images in found], [(most or {}).get(each.generator) for each in found])
        kept = kept[~rows["pixels"].iloc[kept].duplicated().to_numpy()]
        owners = np.repeat(owners[kept], seen.views)
        order = None if len(kept) == len(rows) else _squares(kept, seen.views)
        return Images(
            pixels=Stack([self._pixels(images, seen) for images in found], order),
            labels=np.array([images.label for images in found], np.int64)[owners],
            ids=_ids(rows["digest"].take(kept).tolist(), seen.views),
            generators=[found[k].generator for k in owners],
            views=seen.views,
            top=self._preprocess.top if seen.views == self._preprocess.views else None,
        )

    def unlabelled(self, generators: Sequence[str], split: Split, *, whole: bool = False) -> Unlabelled:
        """The same images without labels, all of them ordered by digest: their order says nothing of the class."""
        images = self.images(generators, split, whole=whole)
        order = _squares(np.argsort(np.array(images.ids[:: images.views]), kind="stable"), images.views)
        return Unlabelled(pixels=Stack([images.pixels], order), ids=[images.ids[i] for i in order])

    @cached_property
    def _sets(self) -> dict[Key, ImageSet]:
        return {(images.generator, images.split): images for images in self._manifest.sets()}

    @cached_property
    def _cached(self) -> frozenset[Key]:
        """The sets that the budget has room for."""
        chosen, room = set(), self._budget
        for key, images in self._sets.items():
            if (size := bytes_of(images, self._seen(images.split))) <= room:
                chosen.add(key)
                room -= size
        return frozenset(chosen)

    def _find(self, generator: str, split: Split) -> ImageSet:
        if (generator, split) in self._sets:
            return self._sets[generator, split]
        names = {name for name, _ in self._sets}
        where = ", ".join(map(str, self._manifest.roots))
        if generator not in names:
            fix = nearest(generator, names)
            raise InputError("this generator is not in the data", where=where, value=generator, fix=fix)
        fix = "raise the share of this split, or take more of the generator's images"
        raise InputError(f"this generator has no images in the split `{split}`", where=where, value=generator, fix=fix)

    def _rows(self, images: ImageSet) -> pd.DataFrame:
        return self._manifest.rows(images.generator, images.split)

    def _pixels(self, images: ImageSet, seen: Preprocess) -> Pixels:
        stream = Stream(self._manifest.roots, self._rows(images), seen)
        # Squares of training images that training does not see have no room in the budget.
        cached = seen == self._seen(images.split) and (images.generator, images.split) in self._cached
        return cached_pixels(images, stream, self._cache) if cached else stream

    def _seen(self, split: Split, whole: bool = False) -> Preprocess:
        """By which images of a split are made into squares."""
        return self._preprocess.cutting(training=split.trained_on and not whole)


def _squares(images: NDArray[np.int64], views: int) -> NDArray[np.int64]:
    """Positions of the squares of images at these positions."""
    return (images[:, None] * views + np.arange(views)).reshape(-1)


def _ids(digests: list[str], views: int) -> list[str]:
    """Of the squares: the image's digest, and after it which of its squares, where there are several."""
    return digests if views == 1 else [f"{digest}/{k}" for digest in digests for k in range(views)]


def _among_first(counts: Sequence[int], most: Sequence[int | None]) -> NDArray[np.int64]:
    """Positions, in a row of sets of so many images, of those that are among the first of their set."""
    places = np.concatenate([np.arange(count) for count in counts])
    limits = [count if limit is None else limit for count, limit in zip(counts, most, strict=True)]
    return np.flatnonzero(places < np.repeat(limits, counts))

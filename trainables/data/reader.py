"""Images of a manifest, by generator and split: what the stages of a study read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainables.contract import Images, Split, Unlabelled
from trainables.data.cache import ImageFile, cached_pixels
from trainables.data.manifest import Manifest
from trainables.data.preprocess import Preprocess
from trainables.data.sets import ImageSet
from trainables.data.stack import Stack
from trainables.errors import InputError, nearest


class Reader:
    """Reads image sets through the cache; nothing is decoded twice on a node, or before it is asked for.

    Args:
        manifest: of the data folder; its unusable files, and those too small for the crop, are left out.
        preprocess: how an image becomes a square of pixels.
        cache: folder for decoded images.
    """

    def __init__(self, manifest: Manifest, preprocess: Preprocess, cache: Path) -> None:
        self._manifest, self._preprocess, self._cache = manifest.fitting(preprocess), preprocess, Path(cache)

    def images(self, generators: Sequence[str], split: Split) -> Images:
        """The images of these generators and real sources in a split, in this order, each set ordered by digest.

        Raises:
            InputError: one of them has no images in this split; see also ``cached_pixels``.
        """
        found = [self._find(generator, split) for generator in generators]
        digests = [list(self._rows[generator, split]["digest"]) for generator in generators]
        return Images(
            pixels=Stack([self._pixels(images) for images in found]),
            labels=np.concatenate([np.full(images.count, images.label, np.int64) for images in found]),
            ids=[digest for of_set in digests for digest in of_set],
            generators=[images.generator for images in found for _ in range(images.count)],
        )

    def unlabelled(self, generators: Sequence[str], split: Split) -> Unlabelled:
        """The same images without labels, all of them ordered by digest: their order says nothing of the class."""
        images = self.images(generators, split)
        order = np.argsort(np.array(images.ids), kind="stable")
        return Unlabelled(pixels=Stack([images.pixels], order), ids=[images.ids[i] for i in order])

    @cached_property
    def _sets(self) -> dict[tuple[str, Split], ImageSet]:
        return {(images.generator, images.split): images for images in self._manifest.sets()}

    @cached_property
    def _rows(self) -> dict[tuple[str, Split], pd.DataFrame]:
        grouped = self._manifest.usable.groupby(["generator", "split"])
        return {(rows["generator"].iloc[0], Split(rows["split"].iloc[0])): rows for _, rows in grouped}

    def _find(self, generator: str, split: Split) -> ImageSet:
        if (generator, split) in self._sets:
            return self._sets[generator, split]
        names = {name for name, _ in self._sets}
        where = str(self._manifest.root)
        if generator not in names:
            fix = nearest(generator, names)
            raise InputError("this generator is not in the data", where=where, value=generator, fix=fix)
        fix = "give it some in manifest.csv, or raise the share of this split"
        raise InputError(f"this generator has no images in the split `{split}`", where=where, value=generator, fix=fix)

    def _pixels(self, images: ImageSet) -> NDArray[np.uint8]:
        rows = self._rows[images.generator, images.split]
        root = self._manifest.root
        files = [ImageFile(root / path, digest) for path, digest in zip(rows["path"], rows["digest"], strict=True)]
        return cached_pixels(images, files, self._preprocess, self._cache)

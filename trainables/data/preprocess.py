"""The one preprocessing object, for both classes, train and test."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, PositiveInt, model_validator

from trainables.contract import Config
from trainables.errors import InputError
from trainables.imaging import through_jpeg, through_webp
from trainables.indexing.decode import LARGEST


def _codec(value: str) -> str:
    if not re.fullmatch(r"(jpeg|webp)([1-9][0-9]?|100)", value):
        fix = "write `jpeg` or `webp` and a quality of 1 to 100, such as jpeg96"
        raise InputError("not a codec and its quality", value=value, fix=fix)
    return value


def _named(value: Any) -> Any:
    """``grid`` is ``{kind: grid}``."""
    return {"kind": value} if isinstance(value, str) else value


Codec = Annotated[str, AfterValidator(_codec)]
"""``jpeg96``: a codec and its quality."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels, the last two exclusive."""


class Grid(Config):
    """An image in equal tiles, seen one by one.

    Attributes:
        side: tiles along each side; 2 gives the four quadrants.
    """

    kind: Literal["grid"] = "grid"
    side: int = Field(default=2, ge=2, le=16)

    @property
    def count(self) -> int:
        """Tiles of an image."""
        return self.side**2

    def boxes(self, width: int, height: int) -> Iterator[Box]:
        """The tiles, row by row: every pixel is in one; where the side does not divide, sizes differ by a pixel."""
        columns = [k * width // self.side for k in range(self.side + 1)]
        rows = [k * height // self.side for k in range(self.side + 1)]
        for top, bottom in pairwise(rows):
            for left, right in pairwise(columns):
                yield left, top, right, bottom


class Random(Config):
    """Squares cut out of an image at random, at native resolution.

    With ``top`` the squares of an image vote, as in Mandelli et al. 2022 and 2024 (800 squares of 96 pixels, of which
    600 count): an image is as fake as its most suspicious parts. That is the score of an image, in validation,
    selection, test and prediction. Training sees squares as images of their own, each with its image's label.

    Attributes:
        count: how many.
        seed: with it and the image's content, the places are fixed.
        top: the score of an image is the mean P(fake) of so many of its squares, the highest; of all if not given.
        training: how many of an image's squares are trained on, its first, the same ones in every epoch; all if not
            given, and an epoch is then ``count`` times as long. It holds for every image that a method learns from,
            with or without labels. Validation, selection, test and prediction see all ``count``.
    """

    LATER: ClassVar[tuple[str, ...]] = ("top", "training")

    kind: Literal["random"] = "random"
    count: PositiveInt = 4
    seed: NonNegativeInt = 0
    top: PositiveInt | None = None
    training: PositiveInt | None = None

    @model_validator(mode="after")
    def _has_as_many(self) -> Random:
        for name, wanted, what in (("top", self.top, "count"), ("training", self.training, "be trained on")):
            if wanted is not None and wanted > self.count:
                problem = f"of {self.count} squares no {wanted} can {what}"
                fix = f"make `{name}` {self.count} at most, or `count` {wanted} at least"
                raise InputError(problem, value=f"count: {self.count}, {name}: {wanted}", fix=fix)
        return self

    def boxes(self, width: int, height: int, size: int, key: str) -> Iterator[Box]:
        """Squares of ``size``, wherever they fit with equal probability; they may overlap.

        The places come from SHA-256 alone, so they are the same on every machine and with every version of NumPy.
        """
        for k in range(self.count):
            words = hashlib.sha256(f"{self.seed}/{key}/{k}".encode()).digest()
            left = int.from_bytes(words[:8]) * (width - size + 1) >> 64
            top = int.from_bytes(words[8:16]) * (height - size + 1) >> 64
            yield left, top, left + size, top + size


class Preprocess(Config):
    """From a decoded image to one square of pixels, or several: patches, then fit, then re-encoding.

    Normalisation is part of each detector.

    Attributes:
        size: height and width of a square in pixels.
        fit: ``crop`` takes the centre without resampling (resizing erases forensic traces; a smaller image is
            refused by name); ``resize`` scales to ``size``, the aspect ratio not kept; ``resize_crop`` scales the
            shorter side to ``shorter`` and takes the centre.
        filter: of the scaling.
        shorter: of ``resize_crop``, pixels; ``size`` if not given.
        patches: the parts that an image is seen through; the whole if not given. ``random`` cuts squares of ``size``
            itself and leaves nothing to fit.
        reencode: a codec that every square goes through last, such as ``jpeg96``, so that both classes have the same
            history of compression, at least from there on. JPEG is Pillow's, with chroma at half resolution (4:2:0) at
            every quality; WebP is lossy.
    """

    size: int = Field(default=64, ge=8, le=4096)
    fit: Literal["crop", "resize", "resize_crop"] = "crop"
    filter: Literal["bilinear", "bicubic", "lanczos", "box"] = "bicubic"
    shorter: PositiveInt | None = None
    patches: Annotated[Grid | Random | None, Field(discriminator="kind"), BeforeValidator(_named)] = None
    reencode: Codec | None = None

    @model_validator(mode="after")
    def _says_nothing_without_effect(self) -> Preprocess:
        if self.shorter is not None and self.fit != "resize_crop":
            fix = "write `fit: resize_crop`, or leave `shorter` out"
            raise InputError(f"`fit: {self.fit}` has no shorter side", value=f"shorter: {self.shorter}", fix=fix)
        if self.shorter is not None and self.shorter < self.size:
            fix = f"make it {self.size} at least"
            raise InputError("the shorter side is less than the crop", value=f"shorter: {self.shorter}", fix=fix)
        if isinstance(self.patches, Random) and self.fit != "crop":
            fix = "leave `fit` out, or use `patches: {kind: grid}`"
            raise InputError("random patches are cut at native resolution", value=f"fit: {self.fit}", fix=fix)
        return self

    @property
    def views(self) -> int:
        """Squares that an image is seen through."""
        return self.patches.count if self.patches else 1

    @property
    def top(self) -> int | None:
        """How many of them count for the image's score, the highest; None: all."""
        return self.patches.top if isinstance(self.patches, Random) else None

    def cutting(self, *, training: bool) -> Preprocess:
        """What of it makes the pixels of images that are trained on, or of all others: not how their squares vote.

        The squares in training are the first of those that are seen otherwise.
        """
        if not isinstance(self.patches, Random):
            return self
        count = self.patches.training if training else None
        squares = Random(count=count or self.patches.count, seed=self.patches.seed)
        return self.model_copy(update={"patches": squares})

    def __call__(self, image: Image.Image, key: str = "") -> NDArray[np.uint8]:
        """The squares, (views, size, size, 3) uint8 RGB.

        Args:
            image: decoded.
            key: the image's digest, from which random places derive.

        Raises:
            InputError: the image is smaller than the crop.
        """
        if problem := self.problem(image.width, image.height):
            raise InputError(problem, fix="use a smaller `size`, or `fit: resize`")
        rgb = image if image.mode == "RGB" else image.convert("RGB")
        return np.stack([self._reencoded(np.asarray(self._fitted(part))) for part in self._parts(rgb, key)])

    def problem(self, width: int, height: int) -> str:
        """Why an image of this many pixels cannot be used; empty if it can."""
        found, side = f"{width}x{height} pixels", 1
        if isinstance(self.patches, Grid):
            side = self.patches.side
            width, height = width // side, height // side
            found += f", tiles of {width}x{height}"
        if self.fit == "crop" and min(width, height) < self.size:
            return f"{found}: smaller than the crop of {self.size}x{self.size}"
        if min(width, height) < 1:
            return f"{found}: too small to divide by {side}"
        # The whole is scaled before its centre is cut out: a strip of 20 000x1 pixels would fill the memory.
        if self.fit == "resize_crop" and math.prod(scaled := self._scaled(width, height)) > LARGEST:
            return f"{found}: scaled to {scaled[0]}x{scaled[1]}, more than {LARGEST} pixels"
        return ""

    def _parts(self, image: Image.Image, key: str) -> Iterator[Image.Image]:
        if self.patches is None:
            return iter((image,))
        if isinstance(self.patches, Grid):
            boxes = self.patches.boxes(image.width, image.height)
        else:
            boxes = self.patches.boxes(image.width, image.height, self.size, key)
        return map(image.crop, boxes)

    def _fitted(self, image: Image.Image) -> Image.Image:
        resampling = Image.Resampling[self.filter.upper()]
        if self.fit == "resize":
            return image.resize((self.size, self.size), resampling)
        if self.fit == "resize_crop":
            image = image.resize(self._scaled(image.width, image.height), resampling)
        left, top = (image.width - self.size) // 2, (image.height - self.size) // 2
        return image.crop((left, top, left + self.size, top + self.size))

    def _scaled(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after scaling the shorter side; the longer is rounded down, as torchvision's Resize does."""
        shorter = self.shorter or self.size
        if width <= height:
            return shorter, int(shorter * height / width)
        return int(shorter * width / height), shorter

    def _reencoded(self, square: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.reencode is None:
            return square
        codec, quality = self.reencode[:4], int(self.reencode[4:])
        return through_jpeg(square, quality, 420) if codec == "jpeg" else through_webp(square, quality)

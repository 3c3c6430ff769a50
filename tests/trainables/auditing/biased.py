"""Data folders in which nothing but the files tells fakes from reals: both show scenes of one law."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from trainables.benchmark.scenes import render_scene
from trainables.data.assemble import assemble
from trainables.data.choosing import Choosing
from trainables.data.manifest import Manifest
from trainables.data.preprocess import Preprocess
from trainables.data.splits import Fractions
from trainables.indexing.index import index_folder

EVEN = Fractions(train=0.5, val=0.0, adapt=0.0, few=0.0, test=0.5)


def scene(seed: int, width: int, height: int) -> Image.Image:
    """The middle of a random scene, 8-bit RGB."""
    linear = render_scene(np.random.default_rng([7, seed]), 256)
    image = Image.fromarray((255 * linear ** (1 / 2.2)).astype(np.uint8)).resize((128, 128), Image.Resampling.BOX)
    left, top = (128 - width) // 2, (128 - height) // 2
    return image.crop((left, top, left + width, top + height))


def write_biased(root: Path, count: int, *, real: str = "real/camera", fake: str = "fake/gan") -> Path:
    """Reals are JPEG files of 128x96 pixels with EXIF tags, fakes PNG files of 64x64."""
    tags = Image.Exif()
    tags[0x010F] = "a camera"
    for folder in (real, fake):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for k in range(count):
        scene(2 * k, 128, 96).save(root / real / f"{k:03}.jpg", quality=90, exif=tags)
        scene(2 * k + 1, 64, 64).save(root / fake / f"{k:03}.png")
    return root


def manifest_of(root: Path, preprocess: Preprocess | None = None) -> Manifest:
    """The folder's images, whatever cannot be used left out."""
    folders = [(index_folder(root), Choosing(unusable="skip"))]
    return assemble(folders, EVEN, overlap="drop", preprocesses={"": preprocess} if preprocess else None)

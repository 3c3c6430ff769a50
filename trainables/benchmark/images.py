"""One image of the benchmark: which it is, how it is made, and its line in the manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainables.benchmark.cameras import CAMERAS, SUPERSAMPLING, encode_jpeg, photograph, project
from trainables.benchmark.presets import Preset
from trainables.benchmark.scenes import render_scene
from trainables.benchmark.traces import refill_detail
from trainables.contract import Split
from trainables.data.sets import ImageSet
from trainables.registry import GENERATORS, find
from trainables.seeding import generator as random_stream

REAL_FAMILY = "real"


class Row(NamedTuple):
    """A line of ``manifest.csv``."""

    path: str
    label: int
    generator: str
    family: str
    source: str
    group: str
    split: str


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """An image to be made.

    Args:
        generator: the fake generator; None for a real image.
        camera: that took the photograph, or whose photographs the generator learned from.
        split: the split it belongs to.
        index: its number among the images of its class or generator and split.
    """

    generator: str | None
    camera: str
    split: Split
    index: int

    @property
    def row(self) -> Row:
        """Its line in the manifest; the group names its scene, and no two images show the same one."""
        name = self.generator or self.camera
        folder = f"fake/{name}" if self.generator else f"real/{name}"
        return Row(
            path=f"{folder}/{self.split}-{self.index:05d}.jpg",
            label=1 if self.generator else 0,
            generator=name,
            family=_family(self.generator),
            source=self.camera,
            group=f"{self.generator or 'real'}-{self.split}-{self.index:05d}",
            split=self.split.value,
        )


def image_specs(preset: Preset) -> Iterator[ImageSpec]:
    """Every image of a benchmark; cameras take turns, so that each has its equal share."""
    for split in (split for split in Split if split in preset.fakes):
        cameras = preset.cameras.get(split, preset.cameras[Split.TRAIN])  # `fusion`: more to train on
        for generator in (None, *sorted(preset.generators)):
            count = preset.fakes[split] if generator else preset.real_count(split)
            for index in range(count):
                yield ImageSpec(generator, cameras[index % len(cameras)], split, index)


def foreseen_sets(preset: Preset) -> tuple[ImageSet, ...]:
    """The image sets of a benchmark that is not made yet: all that is known of them but their contents."""
    counts = Counter((spec.row.generator, spec.row.family, spec.row.label, spec.split) for spec in image_specs(preset))
    return tuple(
        ImageSet(generator=name, family=family, label=label, split=split, count=count, digest="not made")
        for (name, family, label, split), count in counts.items()
    )


def make_image(spec: ImageSpec, preset: Preset, seed: int) -> bytes:
    """The image as a JPEG file; a function of its three arguments alone."""
    rng = random_stream(seed, "benchmark", spec.generator or "real", spec.split.value, spec.index)
    camera = CAMERAS[spec.camera]
    scene = render_scene(rng, preset.image_size * SUPERSAMPLING)
    image = photograph(camera, scene, rng)
    if spec.generator:
        rendering = project(scene, sum(camera.blur) / 2)
        image = _generated(spec.generator, image, rendering, preset, rng)
    low, high = preset.quality
    return encode_jpeg(image, int(rng.integers(low, high, endpoint=True)))


def _generated(
    name: str,
    photo: NDArray[np.float32],
    rendering: NDArray[np.float32],
    preset: Preset,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """What a generator that learned from such photographs makes of the scene."""
    member = find("generators", name)
    config = member.config.model_validate(preset.generators[name])
    shared = np.float32(preset.shared)
    learned = (1 - shared) * photo + shared * rendering
    return refill_detail(member.load().fingerprint(config, learned, rng), photo, rng)


def _family(generator: str | None) -> str:
    return next(iter(GENERATORS[generator].traits)) if generator else REAL_FAMILY

"""The benchmark's knobs, all of them, as plain data. They are frozen once published."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pydantic import Field, PositiveInt, model_validator

from trainables.benchmark.cameras import CAMERAS
from trainables.contract import Config, Split
from trainables.errors import InputError, nearest
from trainables.registry import find

Counts = Mapping[Split, int]


class Preset(Config):
    """What determines a benchmark's images, but for its seed.

    Attributes:
        image_size: side of the images in pixels.
        fakes: images of each fake generator, by split.
        reals: images of all real sources together, by split; as many as ``fakes`` where not given.
        cameras: the real sources of each split. A split's fakes carry the traces of the same cameras in equal
            shares, so that the camera is never a sign of the class.
        generators: parameters of each fake generator (``trainables/generators``).
        shared: L, 0-1, the trace that all generators have in common: how far they replace the photograph by a
            rendering that no camera sensor has touched.
        quality: smallest and largest JPEG quality; every image of either class draws from this range.
    """

    image_size: int = Field(default=64, ge=16, le=1024, multiple_of=2)
    fakes: dict[Split, PositiveInt]
    reals: dict[Split, PositiveInt] = Field(default_factory=dict)
    cameras: dict[Split, tuple[str, ...]]
    generators: dict[str, dict[str, Any]]
    shared: float = Field(ge=0, le=1)
    quality: tuple[int, int] = (85, 98)

    @model_validator(mode="after")
    def _members_are_known(self) -> Preset:
        for names in self.cameras.values():
            for name in names:
                if name not in CAMERAS:
                    raise InputError("unknown camera", value=name, fix=nearest(name, CAMERAS))
        for name, config in self.generators.items():
            find("generators", name).config.model_validate(config)
        return self

    def real_count(self, split: Split) -> int:
        """How many real images a split has, over all its sources."""
        return self.reals.get(split, self.fakes[split])

    def resized(self, counts: Counts | None, image_size: int | None) -> Preset:
        """The preset with other counts (of fakes and of reals) or another image size."""
        changed = self.model_dump()
        if counts:
            changed["fakes"] = {**self.fakes, **counts}
            changed["reals"] = {split: n for split, n in self.reals.items() if split not in counts}
        if image_size is not None:
            changed["image_size"] = image_size
        return Preset.model_validate(changed)


_DEMO_COUNTS = {Split.TRAIN: 400, Split.VAL: 100, Split.ADAPT: 200, Split.FEW: 20, Split.TEST: 200}
_LARGE_COUNTS = {**_DEMO_COUNTS, Split.TRAIN: 1600, Split.VAL: 200}
_SMOKE_COUNTS = {Split.TRAIN: 64, Split.VAL: 24, Split.ADAPT: 32, Split.FEW: 8, Split.TEST: 32}
_RANKING_COUNTS = {Split.TRAIN: 400, Split.VAL: 100, Split.ADAPT: 20, Split.FEW: 20, Split.TEST: 200}
_BOTH_CAMERAS: dict[Split, tuple[str, ...]] = dict.fromkeys(_DEMO_COUNTS, ("compact", "reflex"))
_HELD_OUT_CAMERA = {**_BOTH_CAMERAS, **dict.fromkeys((Split.ADAPT, Split.FEW, Split.TEST), ("phone",))}

_DEMO = Preset(
    fakes=_DEMO_COUNTS,
    cameras=_BOTH_CAMERAS,
    generators={
        "tconv": {"strength": 0.02, "detail": 0.15},
        "nearest": {"strength": 0.02, "detail": 0.05},
        "bilinear": {"detail": -0.55},
        "latent8": {"strength": 0.06, "detail": -0.55},
    },
    shared=0.8,
)

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "smoke": _DEMO.resized(_SMOKE_COUNTS, None),
        "demo": _DEMO,
        "large": _DEMO.resized(_LARGE_COUNTS, None),
        "ranking": Preset(
            fakes=_RANKING_COUNTS,
            reals={Split.ADAPT: 180},
            cameras=_HELD_OUT_CAMERA,
            generators={
                "tconv": {"strength": 0.02, "detail": 0.15},
                "nearest": {"strength": 0.02, "detail": 0.05},
                "bilinear": {"detail": -0.45},
                "latent8": {"strength": 0.05, "detail": -0.45},
            },
            shared=0.8,
            quality=(60, 85),
        ),
        "private": _DEMO.model_copy(update={"shared": 0.0}),
    }
)


def find_preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        InputError: there is none; the message gives the nearest names.
    """
    if name not in PRESETS:
        raise InputError("unknown preset of the benchmark", value=name, fix=nearest(name, PRESETS))
    return PRESETS[name]

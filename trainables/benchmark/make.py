"""Making a benchmark's folder: in parallel, the same bytes for the same seed, all of it or none of it."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from trainables.benchmark.images import ImageSpec, Row, image_specs, make_image
from trainables.benchmark.presets import Preset, find_preset
from trainables.benchmark.workers import map_in_processes
from trainables.contract import Split
from trainables.errors import InputError
from trainables.writing import atomic_file, locked, writing

RECIPE = "benchmark.json"
MANIFEST = "manifest.csv"
VERSION = 1
"""Raised when the same knobs and seed give other images."""

_CHUNK = 32

Progress = Callable[[int, int], None]
"""Called with how many are done and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """A benchmark's folder.

    Attributes:
        root: where it is.
        preset: its knobs, as it was made.
        seed: of its scenes, noise and qualities.
        images: how many there are.
        made: whether this call made it; False if it was there already.
    """

    root: Path
    preset: Preset
    seed: int
    images: int
    made: bool


def make_benchmark(
    root: Path,
    preset: str,
    *,
    seed: int = 0,
    counts: Mapping[Split, int] | None = None,
    image_size: int | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Benchmark:
    """Write ``real/<camera>/*.jpg``, ``fake/<generator>/*.jpg`` and ``manifest.csv``, unless they are there.

    The same seed gives the same bytes on machines with the same versions of NumPy and OpenCV. The folder
    appears under its name when it is complete, and never before.

    Args:
        root: the folder; its parents are made.
        preset: ``smoke``, ``demo``, ``ranking`` or ``private``.
        seed: of everything random.
        counts: images of each fake generator in these splits (and of all reals together), instead of the preset's.
        image_size: side in pixels, instead of the preset's.
        progress: called now and then with images done and images in all.
        workers: processes; one per core that this process may use if not given.

    Raises:
        InputError: an unknown preset; the folder holds something else; it cannot be written.
    """
    root = Path(root).absolute()
    knobs = find_preset(preset).resized(counts, image_size)
    specs = list(image_specs(knobs))
    recipe = {"version": VERSION, "preset": preset, "seed": seed, "knobs": knobs.model_dump(mode="json")}
    with writing(root.parent), locked(root.parent / f".{root.name}.lock"):
        made = not _is_there(root, recipe)
        if made:
            _make(root, specs, recipe, partial(make_image, preset=knobs, seed=seed), progress, workers)
    return Benchmark(root=root, preset=knobs, seed=seed, images=len(specs), made=made)


def _is_there(root: Path, recipe: Mapping[str, Any]) -> bool:
    """Whether the folder holds this very benchmark.

    Raises:
        InputError: it holds something else.
    """
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    file = root / RECIPE
    if file.is_file() and json.loads(file.read_text()) == recipe:
        return True
    fix = "choose another folder, or remove this one"
    raise InputError("this folder is not empty and holds other data", where=str(root), fix=fix)


def _make(
    root: Path,
    specs: Sequence[ImageSpec],
    recipe: Mapping[str, Any],
    make: Callable[[ImageSpec], bytes],
    progress: Progress | None,
    workers: int | None,
) -> None:
    chunks = [specs[i : i + _CHUNK] for i in range(0, len(specs), _CHUNK)]
    with _whole_folder(root) as folder:
        for path in {Path(spec.row.path).parent for spec in specs}:
            (folder / path).mkdir(parents=True)
        done = 0
        for written in map_in_processes(partial(_write_images, folder, make), chunks, workers):
            done += written
            if progress:
                progress(done, len(specs))
        _write_manifest(folder / MANIFEST, [spec.row for spec in specs])
        with atomic_file(folder / RECIPE) as file:
            file.write_text(json.dumps(recipe, indent=2, sort_keys=True) + "\n")


@contextmanager
def _whole_folder(root: Path) -> Iterator[Path]:
    """An empty folder beside ``root`` that takes its name if all goes well, and is gone if not.

    The images are not fsynced one by one: after a power cut the folder's index finds any that are cut short.
    """
    folder = root.parent / f".{root.name}.making"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
        folder.replace(root)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_images(folder: Path, make: Callable[[ImageSpec], bytes], specs: Sequence[ImageSpec]) -> int:
    for spec in specs:
        (folder / spec.row.path).write_bytes(make(spec))
    return len(specs)


def _write_manifest(path: Path, rows: Sequence[Row]) -> None:
    with atomic_file(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        writer.writerows(rows)

"""Indexing a folder against a bare loop that only decodes its images, in as many threads; and indexing on Ray.

The bare loop opens, decodes and converts every file, and keeps nothing. Indexing also finds the files, hashes bytes
and pixels, measures, and writes the index. Files are in the system's cache; repetitions alternate. The bar is for Ray,
which reads every folder of more than some thousand images; threads wait for the interpreter where images are small.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from orchestrator.run.indexing import examine_on_ray
from orchestrator.run.session import connected
from orchestrator.study.resources import StageResources
from trainables.benchmark.scenes import render_scene
from trainables.indexing.examining import Examine
from trainables.indexing.index import index_folder

IMAGES = {256: 2000, 1024: 200}
"""How many JPEG files of each side."""

SCENES, REPETITIONS, BAR = 40, 9, 0.9


def photographs(root: Path, side: int, count: int) -> list[Path]:
    """A data folder of so many JPEG files, of a few dozen scenes with the grain of a camera."""
    rng = np.random.default_rng(side)
    files = [root / folder / f"{i:05d}.jpg" for folder in ("real/camera", "fake/made") for i in range(count // 2)]
    for folder in {file.parent for file in files}:
        folder.mkdir(parents=True)
    for number, file in enumerate(files):
        if number < SCENES:
            scene = render_scene(rng, side) ** (1 / 2.2) * 255 + rng.normal(0, 3, (side, side, 3))
            Image.fromarray(scene.clip(0, 255).astype(np.uint8)).save(file, quality=int(rng.integers(75, 96)))
        else:
            file.write_bytes(files[number % SCENES].read_bytes())
    return files


def bare(files: list[Path], threads: int) -> None:
    """Decode every file."""
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(_decode, files):
            pass


def _decode(file: Path) -> None:
    with Image.open(file) as image:
        np.asarray(image.convert("RGB"))


def ours(root: Path, folder: Path, examine: Examine | None = None) -> None:
    """Index the folder from nothing."""
    kept = folder / "index.parquet"
    kept.unlink(missing_ok=True)
    index = index_folder(root, kept=kept, examine=examine)
    assert not (index.frame["problem"] != "").any()


def measure(side: int, folder: Path) -> tuple[float, str]:
    """The median ratio of indexing on Ray to the bare loop, and what there is to tell."""
    root, threads = folder / "images", len(os.sched_getaffinity(0))
    files = photographs(root, side, IMAGES[side])
    ways: dict[str, Callable[[], None]] = {
        "bare": lambda: bare(files, threads),
        "threads": lambda: ours(root, folder),
        "ray": lambda: ours(root, folder, examine_on_ray()),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for repetition in range(REPETITIONS + 1):
        for name in ways if repetition % 2 else reversed(ways):
            started = time.perf_counter()
            ways[name]()
            rates[name].append(len(files) / (time.perf_counter() - started))
    warm = {name: own[1:] for name, own in rates.items()}
    lines, ratios = [f"{len(files)} JPEG files of {side} px, {threads} threads or Ray workers"], {}
    for name, own in warm.items():
        ratios[name] = statistics.median(mine / theirs for mine, theirs in zip(own, warm["bare"], strict=True))
        lines.append(f"  {name:8} {statistics.median(own):7.0f} images/s  {ratios[name]:.3f} of the bare loop")
    return ratios["ray"], "\n".join(lines)


def main() -> int:
    """Print the ratios; 1 if indexing on Ray is below the bar."""
    cv2.setNumThreads(1)
    measured = []
    with connected(None, StageResources()):  # which prints nothing
        for side in IMAGES:
            with tempfile.TemporaryDirectory() as folder:
                measured.append(measure(side, Path(folder)))
    for _, text in measured:
        print(text)
    reached = min(ratio for ratio, _ in measured) >= BAR
    print(f"bar {BAR}: {'reached' if reached else 'missed'}")
    return int(not reached)


if __name__ == "__main__":
    raise SystemExit(main())

"""The fit loop against a bare hand-written one: the same model, images, batches and optimiser.

What the fit loop does beyond training (validation, saved states, reports) is outside both: the figure is images a
second of the training part of an epoch. Repetitions are interleaved, so that a busy machine slows both alike.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from trainables.context import LocalContext
from trainables.contract import Images, Pixels
from trainables.detector import Detector, build_detector
from trainables.fit import fit
from trainables.objective import SUPERVISED
from trainables.recipe import Recipe
from trainables.registry import find

COUNT, SIZE, REPETITIONS, BAR = 512, 64, 21, 0.95
RECIPE = Recipe(epochs=1, batch=64)


def mapped_images(folder: Path) -> Images:
    """Random images in a memory-mapped file, as the cache of decoded images gives them."""
    rng = np.random.default_rng(0)
    pixels = np.memmap(folder / "pixels", np.uint8, "w+", shape=(COUNT, SIZE, SIZE, 3))
    pixels[:] = rng.integers(0, 256, pixels.shape, dtype=np.uint8)
    labels = np.arange(COUNT, dtype=np.int64) % 2
    return Images(pixels=pixels, labels=labels, ids=[str(i) for i in range(COUNT)], generators=["made"] * COUNT)


def bare(detector: Detector, pixels: Pixels, labels: torch.Tensor) -> float:
    """Images a second of one epoch, written by hand: shuffle, mirror half, train."""
    detector.train()
    parameters = [p for p in detector.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=RECIPE.learning_rate, fused=True)
    started = time.perf_counter()
    order = np.random.default_rng(0).permutation(COUNT)
    for start in range(0, COUNT, RECIPE.batch):
        index = order[start : start + RECIPE.batch]
        batch = pixels[index]
        flip = np.random.rand(len(index)) < 0.5
        batch[flip] = batch[flip, :, ::-1]
        images = torch.from_numpy(batch).permute(0, 3, 1, 2).float().div_(255)
        loss = functional.cross_entropy(detector(images), labels[index])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return COUNT / (time.perf_counter() - started)


def ours(detector: Detector, images: Images, folder: Path) -> float:
    """Images a second of one epoch, as the fit loop reports it."""
    few = images.take(np.arange(16))
    fitted = fit(detector, SUPERVISED, RECIPE, images, few, LocalContext(folder=folder))
    return fitted.curves[0]["images_per_second"]


def measure(kind: str) -> float:
    """The median ratio of ours to bare, of one detector; printed with what it comes from."""
    config = find("detectors", kind).config()
    with tempfile.TemporaryDirectory() as folder:
        images = mapped_images(Path(folder))
        labels = torch.from_numpy(images.labels)
        pairs = []
        for repetition in range(REPETITIONS + 1):
            rates = {}
            for name in ("bare", "ours") if repetition % 2 else ("ours", "bare"):
                detector = build_detector(kind, config, seed=0)
                state = Path(folder) / str(repetition)
                rates[name] = bare(detector, images.pixels, labels) if name == "bare" else ours(detector, images, state)
            pairs.append((rates["ours"], rates["bare"]))
    warm = pairs[1:]
    ratio = statistics.median(mine / theirs for mine, theirs in warm)
    mine, theirs = (statistics.median(column) for column in zip(*warm, strict=True))
    print(f"{kind}, {SIZE} px, batch {RECIPE.batch}: {mine:.0f} images/s, bare loop {theirs:.0f}, ratio {ratio:.3f}")
    return ratio


def main() -> int:
    """Print the ratio; 1 if it is below the bar."""
    torch.set_num_threads(1)
    ratio = measure("residual_cnn")
    print(f"bar {BAR}: {'reached' if ratio >= BAR else 'missed'}")
    return int(ratio < BAR)


if __name__ == "__main__":
    raise SystemExit(main())

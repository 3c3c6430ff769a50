"""An epoch of an adaptation against what its passes through the network cost in a bare loop, written out here.

The bare loop reads the same numbers of source and target images, sends them through the network together, takes the
cross-entropy of the source's alone and steps: what a method adds to that (its term, a discriminator, moving uphill and
back) counts as its overhead, but for SDAT's second pass. What the fit loop does beyond training (validation, saved
states, reports) is outside both. Repetitions are interleaved, so that a busy machine slows both alike.
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
from trainables.contract import AdaptationData, Images
from trainables.detector import build_detector
from trainables.recipe import Recipe
from trainables.registry import find

SOURCE, TARGET, SIZE, REPETITIONS, BAR = 800, 200, 64, 9, 1.1
RECIPE = Recipe(epochs=1, batch=64)
PASSES = {"coral": 1, "mcc": 1, "dann": 1, "sdat": 2}
"""Forward and backward passes a step."""


def mapped_images(folder: Path, name: str, count: int) -> Images:
    """Random images in a memory-mapped file, as the cache of decoded images gives them."""
    pixels = np.memmap(folder / name, np.uint8, "w+", shape=(count, SIZE, SIZE, 3))
    pixels[:] = np.random.default_rng(0).integers(0, 256, pixels.shape, dtype=np.uint8)
    labels = np.arange(count, dtype=np.int64) % 2
    return Images(pixels=pixels, labels=labels, ids=[str(i) for i in range(count)], generators=["made"] * count)


def made_data(folder: Path) -> AdaptationData:
    """As much as the demo study gives an adaptation."""
    source, target = mapped_images(folder, "source", SOURCE), mapped_images(folder, "target", TARGET)
    few = source.take(np.arange(16))
    return AdaptationData(source_train=source, source_val=few, target=target.without_labels())


def bare(kind: str, data: AdaptationData, passes: int) -> float:
    """Seconds of one epoch, written by hand: shuffle, mirror half, send through, step."""
    detector = build_detector(kind, find("detectors", kind).config(), seed=0).train()
    parameters = [p for p in detector.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=RECIPE.learning_rate, fused=True)
    labels = torch.from_numpy(data.source_train.labels)
    started = time.perf_counter()
    order, cycled = np.random.permutation(SOURCE), np.resize(np.random.permutation(TARGET), SOURCE)
    for start in range(0, SOURCE - RECIPE.batch + 1, RECIPE.batch):
        index, of_target = (places[start : start + RECIPE.batch] for places in (order, cycled))
        batch = np.concatenate([data.source_train.pixels[index], data.target.pixels[of_target]])
        flip = np.random.rand(len(batch)) < 0.5
        batch[flip] = batch[flip, :, ::-1]
        images = torch.from_numpy(batch).permute(0, 3, 1, 2).float().div_(255)
        for _ in range(passes - 1):
            torch.autograd.grad(functional.cross_entropy(detector(images)[: len(index)], labels[index]), parameters)
        loss = functional.cross_entropy(detector(images)[: len(index)], labels[index])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
    return time.perf_counter() - started


def ours(kind: str, method: str, data: AdaptationData, folder: Path) -> float:
    """Seconds of one epoch's training, as the fit loop reports them."""
    detector = build_detector(kind, find("detectors", kind).config(), seed=0)
    entry = find("adaptations", method)
    config = entry.config(recipe=RECIPE)
    curves = entry.load().adapt(config, detector, data, LocalContext(folder=folder)).curves
    seconds: float = curves[0]["seconds"]
    return seconds


def measure(kind: str, data: AdaptationData, folder: Path) -> list[float]:
    """The median ratio of ours to bare, one a method; printed with what it comes from."""
    pairs: dict[str, list[tuple[float, float]]] = {method: [] for method in PASSES}
    for repetition in range(REPETITIONS + 1):
        for method, passes in PASSES.items():
            seconds = {}
            for name in ("bare", "ours") if repetition % 2 else ("ours", "bare"):
                state = folder / method / str(repetition)
                seconds[name] = bare(kind, data, passes) if name == "bare" else ours(kind, method, data, state)
            pairs[method].append((seconds["ours"], seconds["bare"]))
    ratios = []
    for method, found in pairs.items():
        ratios.append(statistics.median(mine / theirs for mine, theirs in found[1:]))
        mine, theirs = (1000 * statistics.median(column) for column in zip(*found[1:], strict=True))
        print(f"{kind}, {method}: {mine:.0f} ms an epoch, bare loop {theirs:.0f} ms, ratio {ratios[-1]:.3f}")
    return ratios


def main() -> int:
    """Print the ratios; 1 if one is above the bar."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        worst = max(measure("residual_cnn", made_data(Path(folder)), Path(folder)))
    print(f"bar {BAR}: {'reached' if worst <= BAR else 'missed'}")
    return int(worst > BAR)


if __name__ == "__main__":
    raise SystemExit(main())

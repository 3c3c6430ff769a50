"""An epoch over cached images against torchvision's ``ImageFolder`` and a DataLoader, of the same files.

Both end at what a model takes: shuffled batches of (B, 3, H, W) float tensors in [0, 1], centre-cropped, half of the
images mirrored. The DataLoader runs without workers and with two, and its faster epoch counts. Repetitions are
interleaved, so that a busy machine slows both alike. What the input costs a training is shown beside it: its share of
the time of ResNet-18's steps on the same batches, read in the same thread, nothing ahead.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from trainables.batches import Order
from trainables.data.preprocess import Preprocess
from trainables.data.stack import Stack, open_pixels
from trainables.detector import as_input, build_detector
from trainables.registry import find

BATCHES, COUNT, REPETITIONS, BAR = {64: 64, 128: 32, 256: 16}, 512, 5, 5.0
"""Images a batch, by their size in pixels: beyond some 16 MB of floats the C library gives memory back to the system
after every batch, and to get it again takes longer than to read the images, on either side."""
WORKERS = (0, 2)


def write_photographs(folder: Path, count: int, size: int) -> list[Path]:
    """JPEG files of ``size`` pixels and quality 90 in two classes: noise over smooth shapes."""
    rng = np.random.default_rng(0)
    files = []
    for k in range(count):
        file = folder / ("real", "fake")[k % 2] / f"{k:05d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        shapes = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((size, size))
        noisy = np.asarray(shapes) + rng.normal(0, 4, (size, size, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, quality=90)
        files.append(file)
    return sorted(files)


def cached(files: list[Path], preprocess: Preprocess, folder: Path) -> Stack:
    """The files' pixels as the reader gives them: memory maps, one a class."""
    parts = []
    for kind in ("fake", "real"):
        pixels = [preprocess(Image.open(file)) for file in files if file.parent.name == kind]
        np.save(folder / f"{kind}-{preprocess.size}.npy", np.concatenate(pixels))
        parts.append(open_pixels(folder / f"{kind}-{preprocess.size}.npy"))
    return Stack(parts)


def our_batches(pixels: Stack) -> Iterator[Tensor]:
    """What the fit loop reads in an epoch."""
    for source, _ in Order(seed=0, count=len(pixels), batch=BATCHES[pixels.shape[1]]).epoch(0):
        yield as_input(source.of(pixels))


def their_batches(folder: Path, size: int, workers: int) -> Iterator[Tensor]:
    """The same from the files, by the book."""
    transform = v2.Compose(
        [v2.CenterCrop(size), v2.RandomHorizontalFlip(), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
    )
    dataset = ImageFolder(folder, transform)
    for images, _ in DataLoader(dataset, BATCHES[size], shuffle=True, num_workers=workers, drop_last=True):
        yield images


def rate(batches: Iterator[Tensor]) -> float:
    """Images a second."""
    started = time.perf_counter()
    count = sum(len(batch) for batch in batches)
    return count / (time.perf_counter() - started)


def input_share(pixels: Stack, steps: int = 4) -> float:
    """Of the time of ResNet-18's training steps, what making the batches takes."""
    detector = build_detector("backbone", find("detectors", "backbone").config(), seed=0).train()
    optimiser = torch.optim.AdamW(detector.parameters(), fused=True)
    batches, reading, started = our_batches(pixels), 0.0, time.perf_counter()
    for _ in range(steps):
        asked = time.perf_counter()
        images = next(batches)
        reading += time.perf_counter() - asked
        functional.cross_entropy(detector(images), torch.zeros(len(images), dtype=torch.long)).backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
    return reading / (time.perf_counter() - started)


def measure(size: int, folder: Path) -> float:
    """The median ratio of ours to the faster of theirs, at one size of images; printed with what it comes from."""
    files = write_photographs(folder / str(size), COUNT, size)
    pixels = cached(files, Preprocess(size=size), folder)
    ways: dict[str, Callable[[], Iterator[Tensor]]] = {"ours": lambda: our_batches(pixels)}
    for workers in WORKERS:
        ways[f"{workers} workers"] = lambda workers=workers: their_batches(folder / str(size), size, workers)
    rounds = [{name: rate(batches()) for name, batches in ways.items()} for _ in range(REPETITIONS + 1)][1:]
    ratio = statistics.median(r["ours"] / max(r[name] for name in ways if name != "ours") for r in rounds)
    rates = ", ".join(f"{name} {statistics.median(r[name] for r in rounds):.0f}" for name in ways)
    print(f"{size} px: {rates} images/s, ratio {ratio:.1f}; input is {input_share(pixels):.1%} of a ResNet-18 step")
    return ratio


def main() -> int:
    """Print the ratios; 1 if one is below the bar."""
    torch.set_num_threads(1)  # as a cell of one CPU has it
    with tempfile.TemporaryDirectory() as folder:
        ratios = [measure(size, Path(folder)) for size in BATCHES]
    print(f"bar {BAR}: {'reached' if min(ratios) >= BAR else 'missed'}")
    return int(min(ratios) < BAR)


if __name__ == "__main__":
    raise SystemExit(main())

"""Images that are decoded when they are asked for: our threads against DataLoader workers and ``ray.data``.

All three read the same JPEG files, take the centre, and end at batches of (B, 3, H, W) float tensors in [0, 1]. Ours
and the DataLoader read them shuffled; ``ray.data`` in the order in which files come.

Why threads: Pillow decodes outside the interpreter's lock, so they use all cores; they start in no time and share the
process's memory, so that a trial that trains for a minute and scores twenty sets does not start and stop workers for
each. DataLoader workers are processes, started for every epoch and every set, and their batches come back through
shared memory. ``ray.data`` schedules tasks that compete with the trials for the CPUs that Ray hands out, and has no
random access: it cannot give the images of a batch by position, which is what makes a step the same for every number
of workers.
"""

from __future__ import annotations

import hashlib
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.epoch import write_photographs
from trainables.batches import Order
from trainables.data.preprocess import Preprocess
from trainables.data.stream import Stream
from trainables.detector import as_input
from trainables.prefetch import DEPTH, ahead, ready

COUNT, SIDE, BATCH, REPETITIONS, BAR = 512, 320, 32, 5, 1.0
PREPROCESS = Preprocess(size=224)


def stream_of(files: list[Path], root: Path) -> Stream:
    """The files as the reader streams them, their digests checked at every reading."""
    rows = [
        {
            "folder": 0,
            "path": str(file.relative_to(root)),
            "offset": -1,
            "bytes": file.stat().st_size,
            "digest": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file in files
    ]
    return Stream([root], pd.DataFrame(rows), PREPROCESS)


def our_batches(stream: Stream) -> Iterator[Tensor]:
    """What the fit loop reads in an epoch."""
    order = Order(seed=0, count=len(stream), batch=BATCH)
    with ahead((ready(source.of(stream), "cpu") for source, _ in order.epoch(0)), DEPTH) as batches:
        for pixels in batches:
            yield as_input(pixels)


class _Files(Dataset[Tensor]):
    """A user's own dataset: the same decoding and crop, half of the images mirrored."""

    def __init__(self, files: list[Path]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Tensor:
        (square,) = PREPROCESS(Image.open(self._files[index]))
        tensor = torch.from_numpy(square).permute(2, 0, 1)
        return tensor.flip(2) if torch.rand(()) < 0.5 else tensor


def loader_batches(files: list[Path], workers: int) -> Iterator[Tensor]:
    """The same by a DataLoader; the bytes travel between its processes, not the floats."""
    for pixels in DataLoader(_Files(files), BATCH, shuffle=True, num_workers=workers, drop_last=True):
        yield pixels.float().div_(255)


def ray_batches(folder: Path) -> Iterator[Tensor]:
    """The same by ``ray.data``."""
    import ray.data

    def cropped(row: dict[str, Any]) -> dict[str, Any]:
        return {"image": PREPROCESS(Image.fromarray(row["image"]))[0]}

    images = ray.data.read_images(str(folder), mode="RGB").map(cropped)
    for batch in images.iter_torch_batches(batch_size=BATCH, prefetch_batches=DEPTH, drop_last=True):
        yield batch["image"].permute(0, 3, 1, 2).float().div_(255)


def rate(batches: Iterator[Tensor]) -> float:
    """Images a second."""
    started = time.perf_counter()
    count = sum(len(batch) for batch in batches)
    return count / (time.perf_counter() - started)


def main() -> int:
    """Print the rates and the ratio to the fastest other; 1 if it is below the bar."""
    import ray
    import ray.data

    torch.set_num_threads(1)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_photographs(folder, COUNT, SIDE)
        stream = stream_of(files, folder)
        ways: dict[str, Callable[[], Iterator[Tensor]]] = {
            "ours": lambda: our_batches(stream),
            "DataLoader": lambda: loader_batches(files, 0),
            "DataLoader, 2 workers": lambda: loader_batches(files, 2),
            "ray.data": lambda: ray_batches(folder),
        }
        rounds = [{way: rate(batches()) for way, batches in ways.items()} for _ in range(REPETITIONS + 1)][1:]
    rates = ", ".join(f"{way} {statistics.median(r[way] for r in rounds):.0f}" for way in ways)
    ratio = statistics.median(r["ours"] / max(r[way] for way in ways if way != "ours") for r in rounds)
    print(f"JPEG files of {SIDE} px, crop of {PREPROCESS.size}, in images/s: {rates}")
    print(f"ratio to the fastest other {ratio:.2f}, bar {BAR}: {'reached' if ratio >= BAR else 'missed'}")
    return int(ratio < BAR)


if __name__ == "__main__":
    raise SystemExit(main())

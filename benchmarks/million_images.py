"""The index of a million images: memory and time of making it, of finding nothing changed, and of dividing it.

The images are made up, and so is what is read of them; rows, files and code are the real ones. Every step is a process
of its own, whose peak of resident memory is printed.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from trainables.data.assemble import assemble
from trainables.data.choosing import Choosing
from trainables.data.splits import Fractions
from trainables.indexing.examine import Facts
from trainables.indexing.examining import Item
from trainables.indexing.found import Found
from trainables.indexing.index import Index, found_table, index_found

IMAGES, GENERATORS, BAR = 1_000_000, 20, 2.0
STEPS = {
    "index": "index a million new images",
    "again": "index them again, nothing changed",
    "added": "index them again, a tenth of them new",
    "assemble": "divide them into splits, near duplicates kept together",
}


def images(count: int) -> Iterator[Found]:
    """What a layout might say of so many images: half of them real, of one source."""
    for number in range(count):
        generator = number % GENERATORS if number % 2 else 0
        folder = f"fake/generator{generator:02d}" if generator else "real/camera"
        path = f"{folder}/batch_{number // 5000:04d}/image_{number:08d}.jpg"
        yield Found(path, int(generator > 0), path.split("/")[1], 60_000 + number % 997, 1_700_000_000_000_000_000)


def read(root: Path, items: Sequence[Item]) -> Generator[list[Facts], None, None]:
    """What might be read of them; one in fifty looks nearly like another."""
    del root
    for start in range(0, len(items), 200):
        yield [_facts(path) for path, *_ in items[start : start + 200]]


def _facts(path: str) -> Facts:
    number = int(path[-12:-4])
    digest = hashlib.sha256(path.encode()).hexdigest()
    looks = hashlib.sha256(str(number - number % 50 if number % 50 == 1 else number).encode()).digest()
    colours = [float(byte) for byte in looks[8:11]]
    return Facts(
        *(digest, digest[:32], looks[:8].hex(), 256, 256, "RGB", "JPEG", 75 + number % 20, "4:2:0", number % 2),
        *(*colours, number % 100 / 7),
    )


def index(kept: Path, count: int = IMAGES) -> Index:
    """The index of so many images."""
    root = kept.parent / "images"
    return index_found(root, "generic", found_table(images(count), root), kept=kept, examine=read)


def step(name: str, kept: Path) -> None:
    """One step in this process; prints seconds and gigabytes."""
    before = index(kept) if name == "assemble" else None
    started = time.perf_counter()
    if before is not None:
        manifest = assemble([(before, Choosing())], Fractions(), overlap="drop")
        assert len(manifest.sets()) > 2 * GENERATORS
    else:
        index(kept, IMAGES * 11 // 10 if name == "added" else IMAGES)
    seconds = time.perf_counter() - started
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak
    print(f"{seconds:.1f} {int(peak[1]) * 1024 / 1e9:.2f}")


def main() -> int:
    """Print time and peak of every step; 1 if a peak is above the bar."""
    missed = False
    with tempfile.TemporaryDirectory() as folder:
        for name, words in STEPS.items():
            command = [sys.executable, "-m", "benchmarks.million_images", name, f"{folder}/index.parquet"]
            seconds, peak = map(float, subprocess.check_output(command, text=True).split())
            print(f"{words:55} {seconds:6.1f} s  {peak:.2f} GB at most (bar {BAR})", flush=True)
            missed |= peak > BAR
        print(f"the index on disk: {Path(folder, 'index.parquet').stat().st_size / 1e6:.0f} MB")
    return int(missed)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        step(sys.argv[1], Path(sys.argv[2]))
    else:
        raise SystemExit(main())

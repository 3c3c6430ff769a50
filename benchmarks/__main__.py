"""``python -m benchmarks [NAME…]``: run all benchmarks, or those named, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

ALL = (
    "scheduling",
    "tuning",
    "tracking",
    "finished_study",
    "fit_loop",
    "adaptation_epoch",
    "epoch",
    "streaming",
    "utilisation",
    "indexing",
    "million_images",
)


def main() -> int:
    """Run them one after the other; 1 if any failed."""
    names = sys.argv[1:] or ALL
    if unknown := [name for name in names if name not in ALL]:
        print(f"no such benchmark: {', '.join(unknown)}; there are: {', '.join(ALL)}", file=sys.stderr)
        return 2
    failed = 0
    for name in names:
        print(f"\n== {name}", flush=True)
        failed |= subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

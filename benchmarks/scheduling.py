"""Seconds a cell of everything but its work: plan, Tune, ledger and MLflow, against the usual ways.

Compared, in one run on one machine: our cells; the same cells as ordinary Ray Tune trials (their own process each,
Tune's default); and one Python process a cell. The latter two on fewer cells, because they are slow.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import noop
from orchestrator.run.on_ray import run_on_ray
from orchestrator.run.session import connected
from orchestrator.store.mirror import Mirror
from orchestrator.store.target import Target
from orchestrator.study.resources import StageResources

CELLS, TRIALS, PROCESSES = 300, 12, 6


def ours(root: Path) -> float:
    """Seconds a cell through the plan, one Tune run, the ledger and MLflow, until the last is mirrored."""
    started = time.perf_counter()
    mirror = Mirror(Target.of("noop", root))
    run = noop.run(root, CELLS, mirror)
    run_on_ray(run)
    mirror.close()
    seconds = (time.perf_counter() - started) / CELLS
    assert run.summary().done == CELLS
    assert mirror.pending == 0
    return seconds


def tune_trials(root: Path) -> float:
    """Seconds a cell as trials of Ray Tune with its defaults."""
    from ray import tune

    def trial(config: dict[str, int]) -> None:
        import torch

        tune.report({"accuracy": 0.5, "index": config["index"], "threads": torch.get_num_threads()})

    started = time.perf_counter()
    tuner = tune.Tuner(
        trial,
        param_space={"index": tune.grid_search(list(range(TRIALS)))},
        run_config=tune.RunConfig(storage_path=str(root / "default"), verbose=0),
    )
    assert len(tuner.fit()) == TRIALS
    return (time.perf_counter() - started) / TRIALS


def processes() -> float:
    """Seconds a cell as a Python process that imports torch, one after the other on each core."""
    import os

    command = [sys.executable, "-c", "import torch"]
    subprocess.run(command, check=True)  # files are then in the system's cache
    cores = os.cpu_count() or 1
    started = time.perf_counter()
    for _ in range(PROCESSES // cores):
        for child in [subprocess.Popen(command) for _ in range(cores)]:
            child.wait()
    return (time.perf_counter() - started) / (PROCESSES // cores * cores)


def main() -> None:
    """Print the three figures and their ratios."""
    with tempfile.TemporaryDirectory() as folder, connected(None, StageResources()):
        root = Path(folder)
        own, trials = ours(root), tune_trials(root)
    one_each = processes()
    print(f"{CELLS} no-op cells, plan + Tune + ledger + MLflow: {own:.4f} s a cell (bar 0.05)")
    for count, name, seconds in (
        (TRIALS, "as default Ray Tune trials", trials),
        (PROCESSES, "a process each", one_each),
    ):
        print(f"{count} cells {name}: {seconds:.3f} s a cell, {seconds / own:.1f} x ours (bar 20)")


if __name__ == "__main__":
    main()

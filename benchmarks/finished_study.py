"""Seconds that ``run`` takes on a study of 1 500 cells of which all are done: nothing must be executed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks import noop
from orchestrator.campaign import Campaign
from orchestrator.run.driver import Run
from orchestrator.run.serial import run_serially
from orchestrator.store.ledger import Ledger
from orchestrator.store.mirror import Mirror
from orchestrator.store.storage import open_storage
from trainables.benchmark.make import make_benchmark
from trainables.contract import Split

GENERATORS = ["tconv", "nearest", "bilinear", "latent8"]
STUDY = {
    "name": "finished",
    "data": {"root": "images"},
    "detectors": ["residual_cnn"],
    "train_generators": GENERATORS,
    "adaptations": ["recalibrate", "adabn", "coral", "dann"],
    "seeds": list(range(6)),
    "storage": "results",
}


def finish(file: Path) -> int:
    """File a record for every cell, as a run would, mirror and report them; the number of cells."""
    campaign = Campaign.open(file)
    open_storage(campaign.storage)
    with Mirror(campaign.target) as mirror:
        listeners = [mirror]
        ledger = Ledger(campaign.storage)
        run = Run(
            campaign.plan(), campaign.place(), ledger, campaign.study.resources, listeners=listeners, work=noop.work
        )
        run_serially(run)
        mirror.finish(list(ledger.records().values()), campaign.report().files())
    return len(run.plan)


def main() -> None:
    """Print the wall time of a run of the finished study."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_benchmark(root / "images", "smoke", counts=dict.fromkeys(Split, 8))
        file = root / "study.yaml"
        file.write_text(yaml.safe_dump(STUDY))
        cells = finish(file)
        started = time.perf_counter()
        command = [sys.executable, "-m", "orchestrator", "run", str(file)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        seconds = time.perf_counter() - started
    assert f"{cells} done; 0 cells run" in said, said
    print(f"run on a finished study of {cells} cells: {seconds:.1f} s (bar 5), nothing executed")


if __name__ == "__main__":
    main()

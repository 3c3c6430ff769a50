"""How much of the machine a run spends on work: seconds within cells ÷ (wall time × cores), for the demo study.

Work is training, scoring, attack and analysis as the records tell; start-up of Ray and of processes, imports,
scheduling, the ledger, MLflow and the report are not. Making the images is left out of both.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from orchestrator.campaign import Campaign
from orchestrator.study.load import load_study

STUDY = Path(__file__).parent.parent / "studies" / "demo.yaml"


def main() -> None:
    """Run the demo in an empty storage and print where the time went."""
    with tempfile.TemporaryDirectory() as folder:
        study = load_study(STUDY).model_copy(update={"storage": Path(folder) / "results"})
        campaign = Campaign(study)
        campaign.images.make()
        started = time.perf_counter()
        summary = campaign.run()
        wall = time.perf_counter() - started
        cores = os.cpu_count() or 1
        by_stage: defaultdict[str, float] = defaultdict(float)
        for record in campaign.records():
            by_stage[record.stage] += record.seconds
    print(f"{summary.done} cells, {summary.failed} failed, {wall:.0f} s on {cores} cores")
    print(", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in by_stage.items()))
    print(f"work ÷ (wall × cores): {sum(by_stage.values()) / (wall * cores):.2f} (bar 0.75)")


if __name__ == "__main__":
    main()

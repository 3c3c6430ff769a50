"""What the command line says of a study that is being tuned."""

from __future__ import annotations

from typing import Any

from orchestrator.plan.cells import CellId
from orchestrator.show import status_text
from orchestrator.standing import StatusReport
from orchestrator.store.state import Running


def running(name: str, **told: Any) -> Running:
    return Running(cell=CellId(name), name=name, stage=name.split("/")[0], started=0.0, **told)


def test_a_tuning_that_runs_tells_its_trials_and_other_cells_their_epoch() -> None:
    tuning = running("tune/cnn/a/b/dann", metrics={"trial": 3.0, "trials": 20.0, "best": 0.9})
    cells = (tuning, running("adapt/cnn/a/b/dann", epoch=2, metrics={"auroc": 0.75}), running("train/cnn/a"))
    lines = status_text(StatusReport("demo", "running", (), cells, ())).splitlines()

    assert "trial 3 of 20" in next(line for line in lines if line.startswith("tune/"))
    assert next(line for line in lines if line.startswith("adapt/")).split()[1:3] == ["2", "auroc"]
    assert "None" not in next(line for line in lines if line.startswith("train/"))

"""What the command line says of a study that is being tuned."""

from __future__ import annotations

from typing import Any

from orchestrator.plan.cells import CellId, Stage
from orchestrator.run.execute import failure_of
from orchestrator.show import status_text
from orchestrator.standing import StatusReport
from orchestrator.store.records import Record, Status
from orchestrator.store.state import Running
from tests.orchestrator.run.made_up import cell
from trainables.errors import InputError


def running(name: str, **told: Any) -> Running:
    return Running(cell=CellId(name), name=name, stage=name.split("/")[0], started=0.0, **told)


def test_a_tuning_that_runs_tells_its_trials_and_other_cells_their_epoch() -> None:
    tuning = running("tune/cnn/a/b/dann", metrics={"trial": 3.0, "trials": 20.0, "best": 0.9})
    cells = (tuning, running("adapt/cnn/a/b/dann", epoch=2, metrics={"auroc": 0.75}), running("train/cnn/a"))
    lines = status_text(StatusReport("demo", "running", (), cells, ())).splitlines()

    assert "trial 3 of 20" in next(line for line in lines if line.startswith("tune/"))
    assert next(line for line in lines if line.startswith("adapt/")).split()[1:3] == ["2", "auroc"]
    assert "None" not in next(line for line in lines if line.startswith("train/"))


def test_a_failure_that_can_be_mended_is_told_whole_and_any_other_in_a_line() -> None:
    mendable = failure_of(InputError("the images are too small", value="16x16", fix="use larger ones"))
    bug = failure_of(ValueError("a first line\nand a second"))
    failed = tuple(Record.of(cell(Stage.TRAIN, "s"), Status.FAILED, failure=why) for why in (mendable, bug))
    text = status_text(StatusReport("demo", "finished", (), (), failed))

    assert "InputError: the images are too small\n      found: '16x16'\n      fix:   use larger ones" in text
    assert "ValueError: a first line" in text
    assert "and a second" not in text

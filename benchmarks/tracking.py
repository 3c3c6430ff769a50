"""What a record costs on its way into the store: the ledger's commit, MLflow's run, and the driver's lost time.

``the driver beside it`` is how much of its own work the driver's thread still gets done while the mirror's
thread is busy: the two share the interpreter.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestrator.plan.cells import Cell, Json, Stage, Tags
from orchestrator.store.ledger import Ledger
from orchestrator.store.mirror import Mirror
from orchestrator.store.records import Record, Status
from orchestrator.store.target import Target

RECORDS, MIRRORED = 1500, 200
METRICS = ("accuracy", "balanced_accuracy", "auroc", "ap", "eer", "f1", "precision", "recall", "fnr", "fpr", "ece")


def records(count: int) -> list[Record]:
    """Records as score cells leave them."""
    return [_record(seed) for seed in range(count)]


def _record(seed: int) -> Record:
    tags = Tags(detector="cnn", source="tconv", target="nearest", adaptation="dann", seed=seed, test="nearest")
    params: dict[str, Json] = {
        "batch": 256,
        "corruption": None,
        "image": {"size": 64, "crop": "centre", "resize": "never"},
    }
    cell = Cell(stage=Stage.SCORE, method="score", params={**params, "seed": seed}, tags=tags)
    metrics = {name: 0.5 + index / 100 for index, name in enumerate(METRICS)}
    return Record.of(cell, Status.DONE, metrics=metrics, started=1.7e9 + seed, seconds=1.0, node="node", images=400)


def commit_and_read(root: Path, made: Iterable[Record]) -> tuple[float, float]:
    """Seconds of a commit of one record, and of reading all of them in a fresh process's first look."""
    ledger, begin, count = Ledger(root), time.perf_counter(), 0
    for record in made:
        ledger.commit(record)
        count += 1
    committed = (time.perf_counter() - begin) / count
    begin = time.perf_counter()
    Ledger(root).records()
    return committed, time.perf_counter() - begin


def mirror_all(root: Path, made: Sequence[Record]) -> tuple[float, float]:
    """Seconds of a record in MLflow, and the share of its own work that the telling thread gets done meanwhile."""
    half = len(made) // 2
    alone = _turns(1.0)
    with Mirror(Target.of("bench", root)) as mirror:
        mirror.replay([])
        _drain(mirror)
        begin = time.perf_counter()
        for record in made[:half]:
            mirror.finished(record)
        _drain(mirror)
        seconds = time.perf_counter() - begin
        for record in made[half:]:
            mirror.finished(record)
        beside = _turns(1.0)
    return seconds / half, beside / alone


def _drain(mirror: Mirror) -> None:
    while mirror.pending:
        time.sleep(0.002)


def _turns(seconds: float) -> float:
    """How many turns of a driver's kind of work this thread does in so many seconds: Python, and small system calls."""
    turns, until = 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        sum(range(5000))
        Path.cwd()
        turns += 1
    return turns / seconds


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        commit, read = commit_and_read(root, records(RECORDS))
        mirrored, beside = mirror_all(root, records(MIRRORED))
    print(f"ledger: commit of one record      {commit * 1000:7.2f} ms")
    print(f"ledger: read {RECORDS} records         {read:7.3f} s  (bar: 0.3)")
    print(f"MLflow: one cell's run, sqlite    {mirrored * 1000:7.1f} ms (bar: 50)")
    print(f"the driver beside it              {beside:7.0%} of its speed alone")


if __name__ == "__main__":
    main()

"""Cells and records to keep, an MLflow to show them, and processes to kill."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from orchestrator.plan.cells import Cell, Digest, Reading, Stage, Tags
from orchestrator.store.mirror import Mirror
from orchestrator.store.records import Record, Status
from orchestrator.store.target import Target

MakeRecord = Callable[..., Record]
Start = Callable[..., subprocess.Popen[str]]


SOURCE = Reading(
    role="source",
    fakes={"tconv": 20},
    reals={"compact": 12, "phone": 8},
    splits=("train", "val"),
    digest=Digest("0123456789abcdef0123"),
)
TARGET = Reading(role="target", fakes={"nearest": 9}, reals={"phone": 9}, splits=("adapt",), digest=Digest("f" * 20))


def make_cell(seed: int = 0, stage: Stage = Stage.TRAIN, test: str = "") -> Cell:
    return Cell(
        stage=stage,
        method="residual_cnn",
        params={"recipe": {"epochs": 3, "flips": True}, "seed": seed, "sizes": [1, 2]},
        tags=Tags(detector="cnn", source="tconv", target="tconv", adaptation="source_only", seed=seed, test=test),
        needs=(make_cell(seed).id,) if stage is not Stage.TRAIN else (),
        reads=(SOURCE,) if stage is not Stage.ADAPT else (SOURCE, TARGET),
        data=SOURCE.digest,
    )


def make_record(seed: int = 0, status: Status = Status.DONE, stage: Stage = Stage.TRAIN, **fields: Any) -> Record:
    result: dict[str, Any] = {"metrics": {"auroc": 0.75}, "started": 1.7e9 + seed, "seconds": 2.0, **fields}
    return Record.of(make_cell(seed, stage, "nearest" if stage is Stage.SCORE else ""), status, **result)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables: making one takes seconds, copying it none."""
    root = tmp_path_factory.mktemp("mlflow")
    mirror = Mirror(Target.of("template", root))
    mirror.replay([])
    assert mirror.close() == 0
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return root / "mlflow.db"


@pytest.fixture
def target(tmp_path: Path, empty_database: Path) -> Target:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return Target.of("demo", tmp_path)


@pytest.fixture
def cell() -> Callable[..., Cell]:
    return make_cell


@pytest.fixture
def record() -> MakeRecord:
    return make_record


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a Python process that runs a piece of code with arguments; it is killed when the test ends."""
    running: list[subprocess.Popen[str]] = []

    def begin(code: str, *arguments: object) -> subprocess.Popen[str]:
        script = tmp_path / f"script{len(running)}.py"
        script.write_text(code)
        process = subprocess.Popen(
            [sys.executable, script, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()

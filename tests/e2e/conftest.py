"""Whole studies in processes of their own, and what an uninterrupted run of them gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from orchestrator.campaign import Campaign
from tests.e2e.processes import run
from tests.orchestrator.cli.conftest import write_study

GRID = {
    "name": "grid",
    "detectors": [{"kind": "residual_cnn", "width": 4, "recipe": {"epochs": 30, "batch": 16}}],
    "train_generators": ["tconv", "nearest"],
    "test_generators": ["bilinear"],
    "adaptations": ["recalibrate", {"kind": "coral", "recipe": {"epochs": 10, "batch": 16}}],
}
"""Two source detectors, adapted to a third generator: trainings long enough to be caught at work."""


@pytest.fixture
def grid(tmp_path: Path, small_data: Path) -> Callable[..., Path]:
    """Writes the grid's study, with some keys changed, in a folder of its own; results go beside it."""
    return lambda **changes: write_study(tmp_path, small_data, **{**GRID, **changes})


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, small_data: Path) -> pd.DataFrame:
    """The results of the grid, from one process and without any trouble."""
    file = write_study(tmp_path_factory.mktemp("undisturbed"), small_data, **GRID)
    code, _, errors = run(file, "--executor", "serial")
    assert code == 0, errors
    return results(file)


def results(file: Path) -> pd.DataFrame:
    """The results of a study: a row a score cell, in the order of their names."""
    return Campaign.open(file).results()

"""Runs of made-up work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.plan.graph import Plan
from orchestrator.run.driver import Run
from orchestrator.run.place import Place
from orchestrator.store.ledger import Ledger
from orchestrator.study.resources import StageResources
from tests.orchestrator.run.made_up import grid, succeed


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    def make(plan: Plan | None = None, *, resources: StageResources | None = None, **options: object) -> Run:
        place = Place(storage=tmp_path, index=tmp_path / "none", cache=tmp_path)
        options.setdefault("work", succeed)
        return Run(plan or grid(), place, Ledger(tmp_path), resources or StageResources(), **options)

    return make

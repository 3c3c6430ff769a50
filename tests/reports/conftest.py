"""Stores for reports: one that all tests may read, copies to break, and a maker of other shapes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.reports.synthetic import Store, build_store


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Four generators, five methods, one detector, one seed: read it, don't change it."""
    return build_store(tmp_path_factory.mktemp("shared") / "results")


@pytest.fixture(scope="session")
def compared_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three seeds, an oracle and a method that reads labels: read it, don't change it."""
    methods = ("recalibrate", "coral", "dann", "few_shot", "oracle")
    root = tmp_path_factory.mktemp("compared") / "results"
    return build_store(root, methods=methods, seeds=(0, 1, 2), corruptions=(), images=40, looked_at=False)


@pytest.fixture(scope="session")
def judged_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Watched adaptations of three seeds, of which ``im`` chose the epochs: read it, don't change it."""
    methods = ("recalibrate", "coral", "dann", "oracle")
    root = tmp_path_factory.mktemp("judged") / "results"
    shape = {"methods": methods, "seeds": (0, 1, 2), "corruptions": (), "images": 20, "looked_at": False}
    return build_store(root, **shape, rules=("im", "source_val", "snd", "oracle"))


@pytest.fixture
def store(shared_store: Store, tmp_path: Path) -> Store:
    """The same, to change."""
    root = tmp_path / "results"
    shutil.copytree(shared_store.root, root, copy_function=os.link)
    return replace(shared_store, root=root, cells=list(shared_store.cells), records=dict(shared_store.records))


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., Store]:
    """Builds a store of another shape."""
    return lambda **shape: build_store(tmp_path / "results", **shape)

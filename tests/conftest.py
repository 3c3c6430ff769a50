"""What tests of every room share: one small benchmark, made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.run.session import connected
from orchestrator.study.resources import StageResources
from trainables.benchmark.make import make_benchmark
from trainables.contract import Split

SMALL = {Split.TRAIN: 16, Split.VAL: 8, Split.ADAPT: 12, Split.FEW: 4, Split.TEST: 12}
"""Images of each fake generator, and of the real sources together."""


@pytest.fixture(scope="session")
def small_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of 260 images, 64x64: read it, don't write to it."""
    root = tmp_path_factory.mktemp("data") / "small"
    return make_benchmark(root, "smoke", counts=SMALL, workers=1).root


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """One Ray of two CPUs, shared by every test that needs one."""
    with connected(None, StageResources()):
        yield

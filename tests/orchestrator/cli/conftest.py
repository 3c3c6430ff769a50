"""The command line, called as a user calls it, on a study small enough to be run for real."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from orchestrator.cli import app
from trainables.benchmark.make import make_benchmark
from trainables.contract import Split

COUNTS = {Split.TRAIN: 12, Split.VAL: 8, Split.ADAPT: 8, Split.FEW: 2, Split.TEST: 8}
STUDY = {
    "name": "tiny",
    "data": {"root": "images"},
    "detectors": [{"kind": "residual_cnn", "width": 4, "recipe": {"epochs": 1, "batch": 8}}],
    "train_generators": ["tconv"],
    "test_generators": ["tconv", "bilinear"],
    "adaptations": ["recalibrate"],
    "storage": "results",
}


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """A data folder of a few dozen images."""
    return make_benchmark(tmp_path_factory.mktemp("data") / "images", "smoke", counts=COUNTS, workers=1).root


def write_study(folder: Path, images: Path, **changes: object) -> Path:
    """The tiny study in a file, with some keys changed; None leaves a key out."""
    values = {**STUDY, "data": {"root": str(images)}, **changes}
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump({k: v for k, v in values.items() if v is not None}, sort_keys=False))
    return file


@pytest.fixture
def study(tmp_path, images):
    """Writes the tiny study, with some keys changed, in a folder of its own."""
    return lambda **changes: write_study(tmp_path, images, **changes)


def call(*words: object):
    """The result of ``orchestrator`` with these words."""
    return CliRunner().invoke(app, [str(word) for word in words], prog_name="orchestrator")


@pytest.fixture(scope="session")
def finished(tmp_path_factory, images):
    """The tiny study after a run, and what the run printed."""
    file = write_study(tmp_path_factory.mktemp("finished"), images)
    result = call("run", file, "--executor", "serial")
    assert result.exit_code == 0, result.output
    return file, result.stdout

"""What is loaded, seen from a fresh process: reading a study and planning it must stay light."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator.plan
import orchestrator.study
from trainables.registry import REGISTRIES

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "torchvision", "ray", "mlflow", "optuna", "sklearn", "matplotlib")


def loaded_by(statements: str) -> set[str]:
    """The heavy packages that a fresh interpreter holds after these statements."""
    look = f"import sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{statements}\n{look}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def every_module(package: object) -> list[str]:
    return [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]


@pytest.mark.parametrize("package", [orchestrator.plan, orchestrator.study], ids=lambda package: package.__name__)
def test_studies_and_plans_load_nothing_heavy(package):
    modules = every_module(package)

    assert modules
    assert loaded_by(f"import {', '.join(modules)}") == set()


def test_no_member_loads_torch_before_its_function_is_called():
    modules = [entry.module for room in REGISTRIES.values() for entry in room.values()]

    assert loaded_by(f"import {', '.join(modules)}") == set()


def test_the_command_line_starts_light():
    assert loaded_by("import orchestrator.cli") == set()


@pytest.mark.parametrize("study", ["smoke", "demo"])
def test_reading_a_study_loads_nothing_heavy(study):
    statements = f"from orchestrator.study.load import load_study; load_study('studies/{study}.yaml')"

    assert loaded_by(statements) == set()

"""The repository's own promises: who imports whom, what is pinned, what the cluster's file says, what is kept out."""

from __future__ import annotations

import ast
import copy
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["importlinter"]["root_packages"]
PIN = re.compile(r"(?P<name>[a-z0-9]+(?:-[a-z0-9]+)*)==(?P<version>[0-9]+(?:\.[0-9]+)*(?:b[0-9]+|\.post[0-9]+)?)")


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [PIN.fullmatch(line) for line in lines if not line.startswith("#")]
    assert all(found), "names and versions only"
    return {pin["name"]: Version(pin["version"]) for pin in found}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_rooms_import_in_one_direction():
    linted = lint_imports(ROOT)

    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize(
    ("file", "statement", "broken"),
    [
        ("trainables/errors.py", "import ray", "The science knows nothing"),
        ("trainables/errors.py", "import orchestrator.plan.cells", "one way through the rooms"),
        ("orchestrator/plan/cells.py", "import torch", "Studies and plans are values"),
        ("orchestrator/plan/cells.py", "import orchestrator.store.records", "one way through the rooms"),
        ("orchestrator/store/ledger.py", "import mlflow", "One module speaks to MLflow"),
        ("orchestrator/store/ledger.py", "import ray", "One room speaks to Ray"),
        ("trainables/generators/tconv.py", "import trainables.generators.nearest", "Members do not import"),
    ],
)
def test_a_wrong_import_is_found(file, statement, broken, tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / file).open("a") as module:
        module.write(f"\n{statement}\n")

    linted = lint_imports(tmp_path)

    assert linted.returncode == 1
    assert re.search(rf"{broken}.* BROKEN", linted.stdout), linted.stdout


def test_every_room_has_a_place_in_the_layers():
    layers = next(c["layers"] for c in PROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    placed = {name.strip(" ()") for layer in layers for name in layer.split("|")}
    children = {path.stem for path in (ROOT / "orchestrator").iterdir() if path.suffix == ".py" or path.is_dir()}

    rooms = {f"orchestrator.{name}" for name in children - {"__init__", "__pycache__"}}
    assert rooms <= placed


def imported(folder: Path) -> set[str]:
    """Top-level names of what the folder's files import, in functions too."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(str(node.module).split(".")[0])
    return names


@pytest.mark.parametrize(("folders", "extra"), [(PACKAGES, ["clip"]), (["tests", "benchmarks"], ["test"])])
def test_every_import_is_of_a_declared_dependency(folders, extra):
    declared = PROJECT["project"]["dependencies"] + [
        line for name in extra for line in PROJECT["project"]["optional-dependencies"][name]
    ]
    names = {canonicalize_name(Requirement(line).name) for line in declared}
    used = set().union(*(imported(ROOT / folder) for folder in folders))
    foreign = used - set(sys.stdlib_module_names) - {*PACKAGES, "tests", "benchmarks"}
    distributions = packages_distributions()

    undeclared = {name for name in foreign if not names & {canonicalize_name(d) for d in distributions.get(name, [])}}
    assert undeclared == set()


def test_every_dependency_is_pinned_at_or_above_its_lower_bound():
    pinned = pins()
    declared = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["test"]

    for requirement in map(Requirement, declared):
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier
        assert [clause.operator for clause in requirement.specifier] == [">="], requirement


def test_platform_packages_of_torch_are_not_pinned():
    assert not [name for name in pins() if name.startswith(("nvidia-", "cuda-"))]


def read_cluster() -> dict[str, object]:
    return yaml.safe_load((ROOT / "cluster.yaml").read_text())


def validated(cluster: dict[str, object]) -> dict[str, object]:
    """The configuration as `ray up` takes it, after Ray's own offline checks."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(copy.deepcopy(cluster))
    validate_config(prepared)
    return prepared


def test_ray_accepts_the_cluster():
    kinds = validated(read_cluster())["available_node_types"]

    assert kinds["head"]["resources"]["CPU"] == 0
    assert "InstanceMarketOptions" not in kinds["cpu"]["node_config"]
    assert kinds["gpu"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert {kinds[name]["min_workers"] for name in ("cpu", "gpu")} == {0}


def test_ray_accepts_the_cluster_on_machines_of_ones_own():
    cluster = read_cluster()
    del cluster["head_node_type"], cluster["available_node_types"]
    cluster["provider"] = {"type": "local", "head_ip": "192.0.2.10", "worker_ips": ["192.0.2.11", "192.0.2.12"]}

    (kind,) = validated(cluster)["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == 2


def test_ray_refuses_a_mistake_in_the_cluster():
    with pytest.raises(Exception, match="idle_timeout"):
        validated({**read_cluster(), "idle_timeout": 5})


def test_the_cluster_runs_the_ray_that_is_pinned_with_a_token_and_no_open_port():
    text = (ROOT / "cluster.yaml").read_text()

    assert {Version(tag) for tag in re.findall(r"rayproject/ray:([0-9.]+)-py311", text)} == {pins()["ray"]}
    assert "RAY_AUTH_MODE=token" in text
    assert "/home/ray/.ray/auth_token" in read_cluster()["file_mounts"]
    assert "0.0.0.0" not in text


def repository_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_lock_files_checkpoints_or_databases_are_kept():
    wrong = re.compile(r"(\.lock|\.(safetensors|pt|pth|pkl|db|sqlite|parquet))$")

    assert [path.name for path in repository_files() if wrong.search(path.name)] == []


def test_no_file_names_a_registry_or_somebodys_machine():
    wrong = re.compile(r"(extra-)?index-url|find-links|https?://\S+/simple\b|/root/|/Users/\w|/home/(?!ray/)\w")
    found = []
    for path in repository_files():
        if path != Path(__file__) and path.suffix not in {".png", ".jpg", ".ico"}:
            hits = wrong.findall(path.read_text(encoding="utf-8", errors="replace"))
            found += [path.relative_to(ROOT)] if hits else []

    assert found == []


def test_ci_runs_lint_the_readmes_tests_and_the_slow_ones():
    script = ROOT / ".ci" / "run"
    commands = [line for line in script.read_text().splitlines() if line.startswith("make ")]

    assert os.access(script, os.X_OK)
    assert commands == ["make lint", "make test", "make test-slow"]
    assert re.search(r"^make test\b", (ROOT / "README.md").read_text(), re.MULTILINE)

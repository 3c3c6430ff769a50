"""What produced a record: code, libraries, job."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("detector-orchestrator", "torch", "ray", "mlflow", "numpy", "adversarial-robustness-toolbox")


@lru_cache(maxsize=1)
def provenance() -> dict[str, str]:
    """Versions, the git commit (``+`` when there are changes on top) and the Ray job id, where there is one.

    A submitted directory comes without its ``.git``; the commit is then what the submission's metadata says.
    """
    found = {"python": platform.python_version(), "git": _git_commit() or _of_job("git")}
    found |= {name: _version(name) for name in _PACKAGES}
    found["ray_job"] = _of_job("job_submission_id")
    return {name: value for name, value in found.items() if value}


def _of_job(key: str) -> str:
    """What is known of the Ray job that this driver is; empty if it is none."""
    config = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR") or "{}")
    return str(config.get("metadata", {}).get(key, ""))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _git_commit() -> str:
    here = Path(__file__).parent
    try:
        commit = _git(here, "rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(folder: Path, *command: str) -> str:
    done = subprocess.run(["git", "-C", folder, *command], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()

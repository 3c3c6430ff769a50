from __future__ import annotations

import json

import pytest

from orchestrator.run.provenance import provenance


@pytest.fixture(autouse=True)
def _fresh():
    provenance.cache_clear()
    yield
    provenance.cache_clear()


def test_versions_and_commit_are_told(monkeypatch):
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    found = provenance()
    assert {"python", "torch", "ray", "mlflow"} <= set(found)
    assert "ray_job" not in found


def test_a_submitted_driver_knows_its_job(monkeypatch):
    config = {"metadata": {"job_submission_id": "raysubmit_x1"}, "runtime_env": {}}
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", json.dumps(config))
    assert provenance()["ray_job"] == "raysubmit_x1"

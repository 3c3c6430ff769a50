"""A tuned study with real models, from its file to its results."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from orchestrator.campaign import Campaign
from orchestrator.plan.cells import Stage
from orchestrator.store.records import Status

RECIPE = {"epochs": 4, "batch": 16}


@pytest.fixture
def campaign(tmp_path, small_data):
    def open_campaign(name: str, **changes: Any) -> Campaign:
        study = {
            "name": name,
            "data": {"root": str(small_data)},
            "train_generators": ["tconv"],
            "test_generators": ["tconv", "nearest"],
            "storage": str(tmp_path / "store"),
            "selection": ["im", "source_val"],
            **changes,
        }
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
        return Campaign.open(tmp_path / f"{name}.yaml")

    return open_campaign


SPACE = {"recipe.learning_rate": {"low": 1e-5, "high": 1e-2, "log": True}}
TUNED = {
    "detectors": [
        {
            "kind": "residual_cnn",
            "width": 4,
            "recipe": RECIPE,
            "tuning": {"trials": 4, "sampler": "random", "scheduler": "asha", "space": SPACE},
        }
    ],
    "adaptations": [
        {
            "kind": "coral",
            "recipe": {"epochs": 2, "batch": 16},
            "tuning": {"trials": 3, "sampler": "random", "space": {"weight": {"low": 0.1, "high": 100, "log": True}}},
        }
    ],
}


def test_a_study_that_names_what_was_chosen_has_nothing_left_to_train(campaign):
    tuned = campaign("tuned", **TUNED)
    before = tuned.plan()
    summary = tuned.run(executor="serial")
    assert summary.exit_code == 0
    records = tuned.records()
    assert len(records) == len(before) == summary.done
    assert {record.status for record in records} == {Status.DONE}
    of_detector, of_adaptation = (record for record in records if record.stage == Stage.TUNE)
    assert of_detector.metrics["stopped"] >= 1
    assert of_adaptation.metrics["complete"] == 3
    assert len(tuned.plan(["tune/*"])) == 3  # with the model that one of them needs
    assert len(tuned.results()) == 4
    assert sum(stage.done for stage in tuned.status().stages) == len(before)
    assert all(cost.seconds_left == 0 for cost in tuned.estimate())

    named = campaign(
        "named",
        detectors=[{"kind": "residual_cnn", **of_detector.chosen}],
        adaptations=[{"kind": "coral", **of_adaptation.chosen}],
    )
    assert {cell.id for cell in named.plan()} <= set(named.ledger())
    assert named.run(executor="serial").executed == 0

"""What of the resources is part of an id, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.plan.cells import CellId, Stage
from orchestrator.plan.expand import expand
from orchestrator.run.context import local_contexts
from orchestrator.run.place import Place
from orchestrator.study.resources import Resources
from orchestrator.study.spaces import described
from orchestrator.study.tuning import Tuning
from tests.trainables.test_recipe import OTHERWISE
from trainables.registry import DETECTORS

USUAL = {"accumulate": 1, "precision": "fp32", "channels_last": False}
TRAINS = (Stage.TRAIN, Stage.ADAPT)


def test_at_their_defaults_and_where_only_the_order_of_sums_changes_ids_stay(make_study, catalogue):
    plan = list(expand(make_study(), catalogue))
    for resources in ({**USUAL, "cpus": 2}, {"channels_last": True, "gpus": 1, "launcher": "train"}):
        assert list(expand(make_study(resources={"default": resources}), catalogue)) == plan
    assert all(set(USUAL).isdisjoint(cell.params) for cell in plan)


@pytest.mark.parametrize("changed", [{"precision": "bf16"}, {"accumulate": 4}])
def test_what_gives_another_detector_gives_another_id(make_study, catalogue, changed):
    def ids(**resources) -> dict[str, CellId]:
        return {cell.name: cell.id for cell in expand(make_study(resources=resources), catalogue)}

    before, after = ids(), ids(default=changed)
    differing = {name for name in before if before[name] != after[name]}
    assert differing == {name for name in before if not name.startswith("audit")}
    trained = [c for c in expand(make_study(resources={"default": changed}), catalogue) if c.stage in TRAINS]
    assert all(changed.items() <= cell.params.items() for cell in trained)
    only_adapted = ids(adapt=changed)
    assert {n for n in before if n.startswith("train")}.isdisjoint(n for n in before if before[n] != only_adapted[n])


def test_every_key_that_came_later_is_in_the_ids_of_what_it_trains(make_study, catalogue):
    plain = set(expand(make_study(adaptations=[]), catalogue))
    for key, value in OTHERWISE.items():
        detector = {"kind": "residual_cnn", "recipe": {key: value}}
        trained = [c for c in expand(make_study(detectors=[detector], adaptations=[]), catalogue) if c not in plain]
        assert any(cell.stage is Stage.TRAIN for cell in trained), key


def test_a_context_computes_as_the_resources_say(make_study, catalogue, tmp_path: Path):
    cell = next(c for c in expand(make_study(), catalogue) if c.stage is Stage.TRAIN)
    place = Place(storage=tmp_path, index=tmp_path / "index", cache=tmp_path)
    resources = Resources(precision="bf16", accumulate=4, channels_last=True)
    context = local_contexts(place, resources)(cell)
    assert (context.precision, context.accumulate, context.channels_last) == ("bf16", 4, True)


def test_keys_that_came_later_can_be_tuned():
    tuning = Tuning.model_validate({"space": {"recipe.patience": {"low": 2, "high": 9}}})
    found = described("residual_cnn", DETECTORS["residual_cnn"].config(), tuning)
    assert found == {"recipe.patience": {"low": 2, "high": 9, "log": False, "step": 1, "integer": True}}

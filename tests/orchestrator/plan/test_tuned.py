"""Cells whose parameters are searched for: before, as trials, and when they are chosen."""

from __future__ import annotations

import pytest

from orchestrator.plan.cells import Stage
from orchestrator.plan.cost import costs
from orchestrator.plan.expand import expand
from orchestrator.plan.tuned import base_parameters, followed_by, judged_by, resolved, trial_of, with_parameters
from orchestrator.study.model import AdaptationChoice

SEARCH = {"trials": 4, "space": {"weight": {"low": 1, "high": 9}}}


@pytest.fixture
def plan(make_study, catalogue):
    tuned = {"kind": "coral", "tuning": SEARCH}
    return expand(make_study(adaptations=["recalibrate", tuned], train_generators=["tconv"]), catalogue)


@pytest.fixture
def tune(plan):
    return next(cell for cell in plan if cell.stage is Stage.TUNE)


def test_before_a_tuning_nothing_below_it_has_the_id_that_it_will_have(plan, tune):
    waits = [plan.cells[cell] for cell in plan.children[tune.id]]
    assert [cell.stage for cell in waits] == [Stage.ADAPT]
    assert waits[0].needs[-1] == tune.id
    assert waits[0].params["adaptation"] == {"chosen_by": tune.id}
    assert waits[0].tags == tune.tags


def test_a_trial_is_the_cell_of_a_study_that_names_its_parameters(make_study, catalogue, tune):
    model, judge = trial_of(tune, AdaptationChoice.model_validate({"kind": "coral", "weight": 3}).parameters)
    named = expand(
        make_study(
            adaptations=[{"kind": "coral", "weight": 3}], train_generators=["tconv"], selection=["source_val", "im"]
        ),
        catalogue,
    )
    assert model in named.cells.values()
    assert (judge.stage, judge.needs) == (Stage.VALIDATE, (model.id,))
    assert list(judge.params["rules"]) == ["source_val"]


def test_a_resolved_plan_is_that_of_a_study_that_names_what_was_chosen(plan, tune):
    chosen = AdaptationChoice.model_validate({"kind": "coral", "weight": 3}).parameters
    now = resolved(plan, {cell.id: chosen for cell in plan if cell.stage is Stage.TUNE})
    assert len(now) == len(plan)
    models = [cell for cell in now if cell.stage is Stage.ADAPT and cell.method == "coral"]
    assert [cell.params["adaptation"] for cell in models] == [chosen] * len(models)
    assert with_parameters(tune, chosen) in models
    left = {cell.id for cell in plan if cell.id in now.cells}
    assert left == {
        cell.id for cell in plan if cell.tags.adaptation != "coral" or cell.stage is Stage.TUNE
    }  # all else keeps its id
    for cell in now:
        assert all(parent in now.cells for parent in cell.needs)
    assert resolved(now, {tune.id: chosen}).hash == now.hash


def test_what_was_chosen_elsewhere_changes_nothing(plan):
    assert resolved(plan, {"0" * 20: {"weight": 1}}).hash == plan.hash


def test_trials_are_judged_by_the_rule_and_a_detector_by_held_out_source_images(make_study, catalogue):
    study = make_study(
        detectors=[{"kind": "residual_cnn", "tuning": {"trials": 2}}],
        adaptations=[{"kind": "coral", "tuning": SEARCH}, {"kind": "oracle", "tuning": {"trials": 2}}],
        selection="im",
        train_generators=["tconv"],
    )
    tunes = {cell.method: cell for cell in expand(study, catalogue) if cell.stage is Stage.TUNE}
    judges = {method: (judged_by(cell), followed_by(cell)) for method, cell in tunes.items()}
    assert judges == {
        "residual_cnn": ("source_val_accuracy", "val_accuracy"),
        "coral": ("im", "im"),
        "oracle": ("target_val_accuracy", "val_accuracy"),
    }
    assert len(trial_of(tunes["oracle"], base_parameters(tunes["oracle"]))) == 1


def test_a_tuning_costs_its_trials_and_what_waits_for_it_nothing(plan):
    kind = (Stage.ADAPT, "coral", "residual_cnn")
    left = {cost.stage: cost.seconds_left for cost in costs(plan, plan, [(kind, 10.0)])}
    searches = sum(cell.stage is Stage.TUNE for cell in plan)
    recalibrated = sum(cell.method == "recalibrate" for cell in plan)
    assert left[Stage.TUNE] == 40.0 * searches
    assert left[Stage.ADAPT] == 10.0 * recalibrated  # of its stage

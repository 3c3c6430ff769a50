"""Cells whose parameters are searched for: before, as trials, and when they are chosen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.plan.cells import Stage
from orchestrator.plan.cost import costs
from orchestrator.plan.expand import expand
from orchestrator.plan.tuned import base_parameters, followed_by, judged_by, resolved, trial_of, with_parameters
from orchestrator.study.rooms import AdaptationChoice
from trainables.registry import REGISTRIES

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


def test_a_trial_of_another_method_in_a_composition_is_of_that_methods_version(make_study, catalogue):
    def composed(**changes):
        return expand(
            make_study(adaptations=[{"kind": "compose", **changes}], selection=["source_val", "im"]), catalogue
        )

    tuned = composed(base="dann", tuning={"trials": 2, "space": {"base.kind": {"choices": ["dann", "cdan"]}}})
    named = composed(base="cdan")
    chosen = AdaptationChoice.model_validate({"kind": "compose", "base": "cdan"}).parameters
    trials = [with_parameters(cell, chosen) for cell in tuned if cell.stage is Stage.TUNE]
    assert trials
    assert set(trials) <= set(named)


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


@pytest.mark.parametrize("tuned_first", [False, True])
def test_a_winner_that_equals_another_variant_keeps_its_own_name(make_study, catalogue, tuned_first):
    tuned = {"kind": "coral", "name": "searched", "tuning": SEARCH}
    variants = [tuned, "coral"] if tuned_first else ["coral", tuned]
    plan = expand(make_study(adaptations=variants, train_generators=["tconv"]), catalogue)
    default = AdaptationChoice.model_validate("coral").parameters
    chosen = {cell.id: default for cell in plan if cell.stage is Stage.TUNE}
    names = {
        variant: [cell.name.replace("searched", "coral") for cell in resolved(plan, chosen) if variant in cell.name]
        for variant in ("searched", "coral")
    }
    made = {name for name in names["searched"] if not name.startswith(("tune", "validate"))}
    assert made == {name for name in names["coral"] if not name.startswith(("tune", "validate"))}


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


def test_the_version_of_the_rule_that_chooses_is_part_of_what_it_chose(make_study, catalogue, monkeypatch):
    tuned = {"kind": "dann", "tuning": SEARCH}
    studies = [make_study(adaptations=["coral", tuned], selection=rules) for rules in (["im"], ["snd", "im"])]
    decides, beside = (expand(study, catalogue) for study in studies)
    entry = REGISTRIES["selections"]["im"]
    monkeypatch.setitem(REGISTRIES["selections"], "im", replace(entry, version=entry.version + 1))

    def kept(plan, study):
        now = expand(study, catalogue).cells
        return {(cell.stage, cell.id in now) for cell in plan if cell.tags.target != cell.tags.source}

    new = {(stage, False) for stage in (Stage.TUNE, Stage.ADAPT, Stage.VALIDATE, Stage.SCORE)}
    assert kept(decides, studies[0]) == new
    assert kept(beside, studies[1]) == {(stage, stage is not Stage.VALIDATE) for stage, _ in new}

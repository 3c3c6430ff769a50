"""Spaces of members and of studies: as JSON, as suggestions, and as mistakes that are told where they are."""

from __future__ import annotations

import optuna
import pytest

import search_spaces
from orchestrator.plan.cells import canonical
from orchestrator.study.load import load_study
from orchestrator.study.rooms import AdaptationChoice, DetectorChoice
from orchestrator.study.spaces import check_space, described, suggestion, with_values
from orchestrator.study.tuning import Tuning
from trainables.errors import InputError
from trainables.registry import ADAPTATIONS, DETECTORS

MEMBERS = {**DETECTORS, **ADAPTATIONS}


def fixed(**values):
    return optuna.trial.FixedTrial({name.replace("__", "."): value for name, value in values.items()})


def space_of(kind, space):
    config = MEMBERS[kind].config()
    return described(kind, config, Tuning.model_validate({"space": space}))


def test_a_members_space_is_described_by_the_dotted_names_of_its_fields():
    found = described("dann", MEMBERS["dann"].config(), Tuning())
    assert found["recipe.epochs"] == {"low": 2, "high": 12, "log": False, "step": 1, "integer": True}
    assert found["weight"] == {"low": 0.1, "high": 3.0, "log": True, "step": None, "integer": False}
    assert found["hidden"] == {"choices": [64, 256, 1024]}
    assert set(found) == {"weight", "gamma", "hidden", "recipe.epochs", "recipe.learning_rate"}


@pytest.mark.parametrize("kind", search_spaces.names())
def test_every_suggestion_of_a_members_space_is_a_choice_that_a_study_could_make(kind):
    config = MEMBERS[kind].config()
    space = described(kind, config, Tuning())
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    base = config.model_dump(mode="json")
    for _ in range(5):
        found = suggestion(kind, base, space, study.ask())
        assert canonical(found) == canonical(type(config).model_validate(found).model_dump(mode="json"))
        assert found != base


def test_a_suggestion_equals_the_parameters_of_a_study_that_names_its_values():
    space = space_of("dann", {"weight": {"low": 0.1, "high": 3}, "recipe.epochs": {"low": 2, "high": 9}})
    base = AdaptationChoice.model_validate({"kind": "dann", "gamma": 5}).parameters
    found = suggestion("dann", base, space, fixed(weight=2.0, recipe__epochs=7))
    named = AdaptationChoice.model_validate({"kind": "dann", "gamma": 5, "weight": 2, "recipe": {"epochs": 7}})
    assert canonical(found) == canonical(named.parameters)


def test_files_keep_the_names_of_their_contents(tmp_path):
    (tmp_path / "w.pth").write_bytes(b"weights")
    base = DetectorChoice.model_validate({"kind": "backbone", "weights": str(tmp_path / "w.pth")}).parameters
    space = space_of("backbone", {"recipe.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}})
    found = suggestion("backbone", base, space, fixed(recipe__learning_rate=1e-3))
    assert found["weights"] == base["weights"]
    assert found["weights"].startswith("sha256-")


def test_a_part_of_a_composition_is_reached_by_its_place():
    choice = AdaptationChoice.model_validate({"kind": "compose", "base": "dann", "with": ["coral", "mcc"]})
    tuning = Tuning.model_validate({"space": {"with.0.weight": {"low": 1, "high": 3}, "base.gamma": {"choices": [2]}}})
    space = described("compose", choice.config, tuning)
    found = suggestion("compose", choice.parameters, space, fixed(with__0__weight=2.5, base__gamma=2))
    assert found["with"][0] == {"kind": "coral", "weight": 2.5}
    assert found["with"][1] == choice.parameters["with"][1]
    assert found["base"]["gamma"] == 2.0


def test_whole_numbers_stay_whole_and_the_last_step_is_one_that_is_reached():
    found = space_of("dann", {"recipe.epochs": {"low": 2, "high": 9, "step": 2}, "weight": {"low": 1, "high": 2}})
    assert found["recipe.epochs"] == {"low": 2, "high": 8, "log": False, "step": 2, "integer": True}
    assert found["weight"]["integer"] is False
    assert space_of("dann", {"weight": {"low": 0.1, "high": 1, "step": 0.2}})["weight"]["high"] == 0.9


def test_values_are_put_in_place_and_everything_else_is_as_it_was():
    tree = {"a": {"b": 1, "c": [{"d": 1}, {"d": 2}]}, "e": 3}
    assert with_values(tree, {"a.c.1.d": 5}) == {"a": {"b": 1, "c": [{"d": 1}, {"d": 5}]}, "e": 3}
    assert tree["a"]["c"][1]["d"] == 2


def test_a_space_with_a_condition_is_refused(monkeypatch):
    def space(trial):
        weight = trial.suggest_float("weight", 0, 1)
        return {"weight": weight, "gamma": 1 if weight > 0.5 else 2}

    monkeypatch.setattr(search_spaces, "find_space", lambda _: space)
    with pytest.raises(TypeError, match="no conditions"):
        described("dann", MEMBERS["dann"].config(), Tuning())


WEIGHT = {"low": 0.1, "high": 1}


@pytest.mark.parametrize(
    ("space", "where", "words"),
    [
        ({"wieght": WEIGHT}, "adaptations.1.tuning.space.wieght", ["no such parameter", "'weight'"]),
        ({"recipe.lr": WEIGHT}, "adaptations.1.tuning.space.recipe.lr", ["no such parameter"]),
        ({"weight": {"low": -1, "high": 1}}, "adaptations.1.tuning.space.weight", ["does not take", "-1"]),
        ({"hidden": {"choices": [64, -3]}}, "adaptations.1.tuning.space.hidden", ["does not take", "-3"]),
        ({"recipe.epochs": {"low": 1, "high": 9, "step": 0.5}}, "adaptations.1.tuning.space.recipe.epochs", ["whole"]),
        ({"weight": {"low": 1}}, "adaptations.1.tuning.space.weight", ["`low` and `high`, or `choices`"]),
        ({}, "adaptations.1.tuning.space", ["at least"]),
    ],
)
def test_a_mistake_in_a_space_is_told_where_it_is(refusal, space, where, words):
    tuned = {"kind": "dann", "tuning": {"space": space}}
    message = refusal(adaptations=["recalibrate", tuned])
    assert where in message
    assert all(word in message for word in words)


def test_a_space_of_the_study_is_told_at_the_top(refusal):
    assert "tuning.space.depth" in refusal(tuning={"space": {"depth": WEIGHT}})


@pytest.mark.parametrize(
    ("member", "word"),
    [("source_only", "nothing to tune"), ("adabn", "no search space of its own"), ("linear_probe", "no search space")],
)
def test_a_member_that_cannot_be_tuned_is_told(refusal, member, word):
    message = refusal(adaptations=[{"kind": member, "tuning": {"trials": 3}}])
    assert word in message
    assert "adaptations.0.tuning" in message


def test_asha_is_refused_where_ray_train_trains(refusal):
    message = refusal(tuning={"scheduler": "asha"}, resources={"adapt": {"workers": 2}})
    assert "resources.adapt" in message
    assert "scheduler: none" in message


def test_a_tracking_server_keeps_no_trials(refusal):
    message = refusal(trials={"uri": "http://me:secret@host:5000"})
    assert "kept in a database" in message
    assert "trials.uri" in message


def test_a_member_without_a_space_is_told():
    with pytest.raises(InputError, match="no search space"):
        described("source_only", MEMBERS["source_only"].config(), Tuning())


def test_the_same_member_tuned_and_as_it_is_go_together(write):
    tuned = {"kind": "dann", "name": "dann_tuned", "tuning": {"trials": 3}}
    study = load_study(write(adaptations=["dann", tuned]))
    assert [study.tuning_of(choice) is not None for choice in study.adaptations] == [False, False, True]


@pytest.mark.parametrize(
    ("kind", "space"),
    [
        ("dfx", {"specialist.learning_rate": {"low": 1e-5, "high": 1e-3}}),
        ("dfx", {"ratio": {"low": 0.01, "high": 0.5}}),
        ("backbone", {"weights": {"choices": ["/weights.pth"]}}),
    ],
)
def test_what_the_plan_is_made_from_is_no_trials_to_choose(kind, space):
    with pytest.raises(InputError, match=f"{kind} does not take this value") as caught:
        check_space(kind, MEMBERS[kind].config(), Tuning.model_validate({"space": space}))
    assert "all trials read the same" in str(caught.value)


def test_a_trial_is_not_given_labels_that_the_plan_does_not_give_it():
    space = space_of("recalibrate", {"how": {"choices": ["prior", "platt"]}, "labels": {"choices": ["few"]}})
    base = MEMBERS["recalibrate"].config().model_dump(mode="json")
    assert suggestion("recalibrate", base, space, fixed(how="prior", labels="few"))["labels"] == "few"
    with pytest.raises(InputError, match="all trials read the same"):
        suggestion("recalibrate", base, space, fixed(how="platt", labels="few"))

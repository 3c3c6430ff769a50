from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from trainables.contract import EVERY_KEY, Config
from trainables.recipe import Recipe
from trainables.registry import ADAPTATIONS, DETECTORS, REGISTRIES

BEFORE = (
    '{"epochs":10,"batch":64,"optimiser":"adamw","learning_rate":0.001,"weight_decay":0.0001,"schedule":"cosine",'
    '"flips":true,"augment":{"vertical":0.0,"shear":0.0,"scale":[1.0,1.0],"blur":0.0,"sigma":[0.0,3.0],"jpeg":0.0,'
    '"quality":[30,100]}}'
)
"""A recipe's dump when ids were first made of it."""
OTHERWISE: dict[str, Any] = {
    "betas": [0.5, 0.9],
    "step_size": 3,
    "gamma": 0.5,
    "floor": 1e-5,
    "patience": 2,
    "monitor": "loss",
    "class_weights": "balanced",
    "label_smoothing": 0.1,
}
"""A value that is not the default, of every key that came later."""


class Plain(Config):
    """A member with a recipe of defaults."""

    recipe: Recipe = Recipe()


class Patient(Config):
    """A member whose own recipe has keys that came later."""

    recipe: Recipe = Recipe(schedule="plateau", patience=5, label_smoothing=0.1)


def test_a_recipe_is_what_it_was_before_there_were_more_keys() -> None:
    assert Recipe().model_dump_json() == BEFORE
    assert Plain().model_dump(mode="json") == {"recipe": json.loads(BEFORE)}
    spelt_out = Plain.model_validate({"recipe": Plain().model_dump(context=EVERY_KEY)["recipe"]})
    assert spelt_out.model_dump(mode="json") == {"recipe": json.loads(BEFORE)}


def test_every_key_that_came_later_is_in_the_id_where_it_is_not_neutral() -> None:
    assert set(OTHERWISE) == set(Recipe.LATER) == set(Recipe.model_fields) - set(json.loads(BEFORE))
    for key, value in OTHERWISE.items():
        found = Plain.model_validate({"recipe": {key: value}})
        dumped = found.model_dump(mode="json")
        assert dumped["recipe"] == json.loads(BEFORE) | {key: value}
        assert Plain.model_validate(dumped) == found


@pytest.mark.parametrize("given", [{}, {"label_smoothing": 0}, {"schedule": "constant", "patience": None}])
def test_a_dump_is_read_back_as_what_it_was_whatever_the_members_own_recipe(given: dict[str, Any]) -> None:
    found = Patient.model_validate({"recipe": given})
    for mode in ("json", "python"):
        assert Patient.model_validate(found.model_dump(mode=mode)) == found
    assert found.recipe.patience == given.get("patience", 5)
    assert found.recipe.label_smoothing == given.get("label_smoothing", 0.1)


@pytest.mark.parametrize(("room", "kind"), [(r, k) for r in ("detectors", "adaptations") for k in REGISTRIES[r]])
def test_every_members_dump_is_read_back(room: str, kind: str) -> None:
    config_type = REGISTRIES[room][kind].config
    if not isinstance(getattr(config_type.model_construct(), "recipe", None), Recipe):
        return
    neutral = {name: Recipe.model_fields[name].default for name in Recipe.LATER}
    for given in ({}, {"recipe": {**neutral, "schedule": "cosine"}}, {"recipe": OTHERWISE}):
        found = config_type.model_validate(given)
        assert config_type.model_validate(found.model_dump(mode="json")) == found


def test_members_with_recipes_are_looked_at() -> None:
    having = [e for e in (*DETECTORS.values(), *ADAPTATIONS.values()) if "recipe" in e.config.model_fields]
    assert len(having) > 20


def test_a_plateau_wants_a_patience() -> None:
    with pytest.raises(ValidationError, match="add `patience: 5`"):
        Recipe(schedule="plateau")
    assert Recipe(schedule="plateau", patience=1).floor == 1e-6


@pytest.mark.parametrize(
    "given", [{"label_smoothing": 1}, {"betas": [0.9]}, {"betas": [0.9, 1]}, {"gamma": 1}, {"class_weights": [1, 0]}]
)
def test_values_that_mean_nothing_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(given)

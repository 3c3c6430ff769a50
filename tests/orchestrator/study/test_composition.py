"""Compositions of methods in a study's file: their names, their ids, and mistakes inside them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.study.load import dump_study, load_study
from orchestrator.study.rooms import AdaptationChoice
from trainables.registry import ADAPTATIONS

HEAD = "name: x\ndata: {root: images}\ndetectors: [residual_cnn]\ntrain_generators: all\nadaptations:\n"
ENTRY = """\
- recalibrate
- kind: compose
  base: dann
  with:
  - coral
  - kind: sdat
    rho: 0.1
"""


def test_it_is_called_by_its_methods_and_comes_back_as_it_was(write):
    study = load_study(write(HEAD + ENTRY))
    assert [choice.name for choice in study.adaptations] == ["source_only", "recalibrate", "dann-coral-sdat"]
    assert load_study(write(dump_study(study))).adaptations == study.adaptations


def test_a_name_of_its_own_goes_first(write):
    study = load_study(write(HEAD + "- {name: mine, kind: compose, base: dann, with: [coral]}\n"))
    assert study.adaptations[-1].name == "mine"


def test_two_of_one_name_are_told_to_be_named(refusal):
    message = refusal(HEAD + "- {kind: compose, with: [coral]}\n- {kind: compose, with: [{kind: coral, weight: 3}]}\n")
    assert "adaptations.1.name: two have this name" in message
    assert "give one of them another `name:`" in message


def test_the_version_of_a_part_is_part_of_its_cells(monkeypatch):
    choice = AdaptationChoice.model_validate({"kind": "compose", "base": "dann", "with": ["coral"]})
    before = choice.version
    later = replace(ADAPTATIONS["coral"], version=ADAPTATIONS["coral"].version + 1)
    monkeypatch.setattr("trainables.registry.REGISTRIES", {"adaptations": {**ADAPTATIONS, "coral": later}})
    assert choice.version == before + 1


@pytest.mark.parametrize(
    ("change", "line", "place", "words"),
    [
        (("rho:", "rh:"), 12, "adaptations.1.with.1.rh", ["unknown key", "'rho'"]),
        (("rho: 0.1", "rho: -1"), 12, "adaptations.1.with.1.rho", ["greater than or equal to 0", "-1"]),
        (("rho: 0.1", "weight: 1"), 12, "adaptations.1.with.1.weight", ["unknown key", "kind, rho"]),
        (("rho: 0.1", "recipe: {}"), 12, "adaptations.1.with.1.recipe", ["no recipe of its own"]),
        (("kind: sdat\n    rho", "rho"), 11, "adaptations.1.with.1", ["no `kind`"]),
        (("- coral", "- corla"), 10, "adaptations.1.with.0", ["can be composed", "'coral'"]),
        (("- coral", "- [coral]"), 10, "adaptations.1.with.0", ["a name, or a mapping"]),
        (("with:", "wiht:"), 9, "adaptations.1.wiht", ["unknown key", "'with'"]),
        (("with:", "also:"), 9, "adaptations.1.also", ["unknown key"]),
        (("- coral", "- cdan"), 10, "adaptations.1.with.0", ["two methods bring", "leave one of them out"]),
        (("- coral", "- daln"), 10, "adaptations.1.with.0", ["takes the place", "leave dann or daln out"]),
        (("base: dann", "base: daln\n  epochs: 3"), 9, "adaptations.1.epochs", ["write it under `recipe`"]),
        (("base: dann", "base: {kind: dann, wieght: 3}"), 8, "adaptations.1.base.wieght", ["'weight'"]),
        (("base: dann", "base: rada"), 8, "adaptations.1.base", ["there is none", "base: dann, with: [rada, coral"]),
        (("recalibrate", "rada"), 6, "adaptations.0", ["there is none", "base: dann, with: [rada]"]),
    ],
)
def test_a_mistake_inside_it_is_told_at_its_line_and_key(refusal, change, line, place, words):
    message = refusal(HEAD + ENTRY.replace(*change))
    assert f"study.yaml:{line}: {place}: " in message
    for word in words:
        assert word in message


def test_rada_with_daln_is_refused_with_the_reason(refusal):
    message = refusal(HEAD + "- {kind: compose, base: daln, with: [rada]}\n")
    assert "rada reads the entropy of a domain discriminator, and daln has none" in message

"""The first things a new user types."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from orchestrator.cli import Room
from tests.orchestrator.cli.conftest import call
from trainables.registry import REGISTRIES

VERBS = ("check", "plan", "run", "status", "report", "list", "predict", "ui", "data")


def test_without_words_the_help_is_shown():
    result = call()

    for verb in VERBS:
        assert f"  {verb} " in result.output


@pytest.mark.parametrize("words", [[verb] for verb in VERBS] + [["data", verb] for verb in ("make", "index", "show")])
def test_every_verb_says_what_it_does(words):
    result = call(*words, "--help")

    assert result.exit_code == 0
    assert f"Usage: orchestrator {' '.join(words)}" in result.output
    assert "..." not in result.output.partition("Commands:")[2]  # no summary is cut off


def test_help_loads_nothing_heavy():
    look = (
        "import sys; from typer.testing import CliRunner; from orchestrator.cli import app;"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0;"
        "print(*({'numpy', 'pandas', 'torch', 'ray', 'mlflow', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []


def test_the_package_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "orchestrator", "--help"], capture_output=True, text=True, check=True)

    assert "Usage: python -m orchestrator" in done.stdout


@pytest.mark.parametrize("room", Room)
def test_lists_name_every_member_with_its_parameters(room):
    text = call("list", room).stdout
    members = json.loads(call("list", room, "--json").stdout)

    if room is not Room.spaces:
        assert [member["name"] for member in members] == list(REGISTRIES[room])
    for member in members:
        assert f"{member['name']}: {member['summary']}" in text
        for parameter in member.get("parameters", {}):
            # What all recipes have in common is told once, at the end.
            common = re.sub(r"^(.*\.)?(recipe|specialist)\.", "", parameter)
            assert f"    {parameter} " in text or f"    {common} " in text.rpartition("recipe: ")[2]


def test_rules_of_selection_are_listed_a_line_each_for_they_have_no_parameters():
    assert set(Room) == {*REGISTRIES, "spaces"}
    lines = call("list", "selections").stdout.splitlines()
    members = json.loads(call("list", "selections", "--json").stdout)

    assert lines == [f"{name}: {entry.summary}" for name, entry in REGISTRIES["selections"].items()]
    assert all(member["parameters"] == {} for member in members)


def test_a_member_tells_where_its_recipe_differs():
    _, _, block = call("list", "adaptations").stdout.partition("tent: ")
    of_tent, recipe = block.partition("\n\n")[0], block.rpartition("\n\n")[2]

    assert "recipe.epochs" in of_tent
    assert "recipe.batch" not in of_tent
    assert recipe.startswith("recipe: ")
    assert "    batch " in recipe


def test_a_recipe_of_any_name_tells_where_it_differs():
    block = call("list", "detectors").stdout.partition("\ndfx: ")[2].partition("\n\n")[0]

    assert "    specialist.epochs " in block
    assert "specialist.gamma" not in block
    assert "specialist.augment" not in block
    assert "open_clip/<name>" in call("list", "detectors", "dfx").stdout


@pytest.mark.parametrize("room", Room)
def test_one_member_is_told_whole(room):
    member = json.loads(call("list", room, "--json").stdout)[-1]
    text = " ".join(call("list", room, member["name"]).stdout.split())

    assert text.startswith(f"{member['name']}: {' '.join(member['summary'].split())}")
    for name, parameter in member.get("parameters", {}).items():
        assert f" {name}: " in text
        assert " ".join(parameter.get("about", "").replace("``", "`").split()) in text
    assert json.loads(call("list", room, member["name"], "--json").stdout) == [member]


def test_a_member_tells_whose_it_is_and_all_values_of_a_parameter():
    text = call("list", "detectors", "npr").stdout

    assert "Tan et al. 2024" in text
    assert "  body: small\n      `resnet50` is the published one" in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_member_that_is_not_there_is_refused_with_the_nearest():
    result = call("list", "detectors", "nrp")

    assert result.exit_code == 2
    assert "unknown name in detectors" in result.stderr
    assert "did you mean 'npr'?" in result.stderr


def test_every_parameter_is_explained():
    unexplained = [
        f"{member['name']}.{name}"
        for room in REGISTRIES
        for member in json.loads(call("list", room, "--json").stdout)
        for name, parameter in member["parameters"].items()
        if not parameter["about"]
    ]

    assert unexplained == []


def test_a_nested_default_is_the_members_own():
    detectors = {member["name"]: member for member in json.loads(call("list", "detectors", "--json").stdout)}
    from trainables.detectors.residual_cnn import Config

    shown = detectors["residual_cnn"]["parameters"]["recipe.learning_rate"]["default"]
    assert shown == Config().recipe.learning_rate

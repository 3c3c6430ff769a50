"""A sweep is one entry of the file and one choice at every severity; mistakes are told where the file has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.study.load import dump_study, load_study
from orchestrator.study.model import Study
from orchestrator.study.rooms import CorruptionChoice
from orchestrator.study.sweep import expanded
from trainables.registry import CORRUPTIONS

HEAD = "name: x\ndata: {root: images}\ndetectors: [residual_cnn]\ntrain_generators: all\ncorruptions:\n"
"""Five lines; a list of corruptions follows."""


def names(study: Study) -> list[str]:
    return [choice.name for choice in study.corruptions]


def test_each_value_is_a_choice_with_a_name_of_its_own(write: Callable[..., Path]) -> None:
    listed = "[{kind: jpeg, sweep: preset}, {kind: gaussian_blur, sweep: [0.5, 1, 2]}, jpeg]"
    study = load_study(write(HEAD.rstrip() + " " + listed + "\n"))
    jpegs = [f"jpeg_{quality}" for quality in (95, 90, 80, 70, 60, 50, 40, 20)]
    assert names(study) == [*jpegs, "gaussian_blur_0.5", "gaussian_blur_1", "gaussian_blur_2", "jpeg"]
    assert study.corruptions[0].parameters == {"quality": 95, "chroma": 420}
    assert study.corruptions[-2].parameters["sigma"] == 2


def test_other_parameters_and_the_name_are_shared(write: Callable[..., Path]) -> None:
    study = load_study(write(corruptions=[{"kind": "jpeg", "name": "whole", "chroma": 444, "sweep": [90, 50]}]))
    assert names(study) == ["whole_90", "whole_50"]
    assert [choice.parameters["chroma"] for choice in study.corruptions] == [444, 444]


def test_a_resolved_study_lists_every_severity(write: Callable[..., Path], tmp_path: Path) -> None:
    study = load_study(write(corruptions=["mirror", {"kind": "median", "sweep": "preset"}]))
    text = dump_study(study)
    listed = yaml.safe_load(text)["corruptions"]
    assert [entry["name"] for entry in listed] == ["mirror", "median_3", "median_5", "median_7"]
    assert not any("sweep" in entry for entry in listed)
    (tmp_path / "resolved.yaml").write_text(text)
    assert load_study(tmp_path / "resolved.yaml") == study


@pytest.mark.parametrize("kind", [kind for kind in CORRUPTIONS if CORRUPTIONS[kind].load().SEVERITY])
def test_every_preset_is_valid(kind: str) -> None:
    choices = expanded({"kind": kind, "sweep": "preset"}, CorruptionChoice.model_validate)
    assert len({choice.name for choice in choices}) == len(CORRUPTIONS[kind].load().PRESET)


@pytest.mark.parametrize(
    ("listed", "place", "words"),
    [
        (
            "  - mirror\n  - kind: jpeg\n    sweep:\n      - 95\n      - 190\n",
            "10: corruptions.1.sweep.1",
            ["100", "190"],
        ),
        ("  - kind: median\n    sweep: [3, 4]\n", "7: corruptions.0.sweep.1", ["odd", "write 3 or 5"]),
        ("  - kind: jpeg\n    sweep: [1, 2]\n    chroma: 421\n", "8: corruptions.0.chroma", ["444, 422 or 420", "421"]),
        (
            "  - kind: jpeg\n    sweep: [1, 2]\n    chromo: 444\n",
            "8: corruptions.0.chromo",
            ["unknown key", "'chroma'"],
        ),
        ("  - kind: jpeg\n    swep: preset\n", "7: corruptions.0.swep", ["unknown key", "'sweep'"]),
        (
            "  - kind: jpeg\n    sweep: presets\n",
            "7: corruptions.0.sweep",
            ["list of values of `quality`", "'presets'"],
        ),
        ("  - kind: jpeg\n    sweep: 95\n", "7: corruptions.0.sweep", ["list of values of `quality`", "95"]),
        ("  - kind: jpeg\n    sweep: []\n", "7: corruptions.0.sweep", ["list of values of `quality`"]),
        ("  - kind: jpeg\n    sweep:\n", "7: corruptions.0.sweep", ["list of values of `quality`"]),
        ("  - kind: jpeg\n    sweep: [95, yes]\n", "7: corruptions.0.sweep.1", ["must be a number", "True"]),
        ("  - kind: mirror\n    sweep: preset\n", "7: corruptions.0.sweep", ["no severity", "delete `sweep:`"]),
        (
            "  - kind: jpeg\n    sweep: [90]\n    quality: 80\n",
            "8: corruptions.0.quality",
            ["sweep sets this key", "80"],
        ),
        ("  - kind: jpg\n    sweep: preset\n", "6: corruptions.0", ["unknown name", "'jpeg'"]),
        ("  - sweep: preset\n", "6: corruptions.0", ["no `kind`"]),
        ("  - kind: resize\n    size: 64\n    sweep: [0.5]\n", "6: corruptions.0", ["a factor or a size"]),
        ("  - kind: jpeg\n    name: a b\n    sweep: [90]\n", "7: corruptions.0.name", ["not a safe name"]),
        # What is there twice is told at its entry in the file, not at its place in the expanded list.
        ("  - kind: jpeg\n    sweep: [90, 90]\n", "7: corruptions.0.sweep", ["two have this name", "jpeg_90"]),
        ("  - {kind: jpeg, sweep: preset}\n  - mirror\n  - mirror\n", "8: corruptions.2", ["two have this name"]),
        ("  - {kind: jpeg, sweep: preset}\n  - {kind: jpeg, quality: 80}\n", "7: corruptions.1", ["'jpeg_80'"]),
        ("  - {kind: jpeg, sweep: preset}\n  - {kind: webp, quality: 0}\n", "7: corruptions.1.quality", ["found: 0"]),
    ],
    ids=lambda value: value if isinstance(value, str) and "corruptions." in value else "",
)
def test_the_message_has_the_line_key_value_and_fix(
    refusal: Callable[..., str], listed: str, place: str, words: list[str]
) -> None:
    message = refusal(HEAD + listed)
    assert f"study.yaml:{place}: " in message
    assert all(word in message for word in words)


def test_mistakes_of_several_entries_are_told_at_once_and_each_once(refusal: Callable[..., str]) -> None:
    message = refusal(HEAD + "  - {kind: jpeg, sweep: [0, 50, 101], chromo: 1}\n  - {kind: webp, sweep: [200]}\n")
    assert "4 problems" in message
    assert message.count("corruptions.0.chromo") == 1
    for place in ("corruptions.0.sweep.0", "corruptions.0.sweep.2", "corruptions.1.sweep.0"):
        assert place in message


def test_a_list_of_choices_is_taken_as_it_is() -> None:
    """Of another study, already expanded."""
    choices: tuple[Any, ...] = expanded({"kind": "jpeg", "sweep": [90, 50]}, CorruptionChoice.model_validate)
    study = Study(name="x", data=({"root": "images"},), detectors=("residual_cnn",), train_generators="all",
                  corruptions=choices)  # fmt: skip
    assert study.corruptions == choices

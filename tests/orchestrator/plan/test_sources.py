"""Detectors that are trained on several generators at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import Cell, Stage
from orchestrator.plan.expand import expand
from orchestrator.plan.sampling import balanced
from orchestrator.study.load import dump_study, load_study
from orchestrator.study.model import Study
from tests.orchestrator.plan.conftest import image_set
from trainables.contract import Split
from trainables.errors import InputError

MakeStudy = Callable[..., Study]
GAN = {"name": "gan", "generators": ["tconv", "nearest"]}
READERS = {"corruptions": ["jpeg"], "attacks": ["pgd"], "analyses": ["gradcam"], "adaptations": ["coral"]}


def named(study: Study, catalogue: Catalogue) -> Mapping[str, Cell]:
    return {cell.name: cell for cell in expand(study, catalogue)}


def test_cells_of_single_generators_are_the_same_beside_a_group(make_study: MakeStudy, catalogue: Catalogue) -> None:
    alone = expand(make_study(**READERS), catalogue)
    beside = expand(make_study(**READERS, train_generators=["tconv", GAN, "nearest"]), catalogue)
    assert set(alone.cells) < set(beside.cells)
    assert all(cell.tags.source == "gan" for cell in beside if cell.id not in alone.cells)


def test_a_group_is_its_generators_and_not_its_name(make_study: MakeStudy, catalogue: Catalogue) -> None:
    unnamed = make_study(train_generators=[{"generators": ["tconv", "nearest"]}])
    assert expand(unnamed, catalogue).hash == expand(make_study(train_generators=[GAN]), catalogue).hash
    assert {cell.tags.source for cell in expand(unnamed, catalogue)} == {"", "tconv+nearest"}
    cell = named(unnamed, catalogue)["train/residual_cnn/tconv+nearest/seed0"]
    assert cell.params["source"] == ["tconv", "nearest"]
    assert Study.model_validate(unnamed.model_dump()) == unnamed
    assert "name: tconv+nearest" in dump_study(unnamed)


def test_a_group_is_adapted_to_what_is_not_in_it_and_tested_on_everything(
    make_study: MakeStudy, catalogue: Catalogue
) -> None:
    plan = expand(make_study(train_generators=[GAN], adaptations=["coral"]), catalogue)
    assert {cell.tags.target for cell in plan if cell.stage is Stage.ADAPT} == {"bilinear"}
    tested = {(c.tags.adaptation, c.tags.test) for c in plan if c.stage is Stage.SCORE}
    assert tested == {(a, t) for a in ("source_only", "coral") for t in ("tconv", "nearest", "bilinear")}


def test_a_group_is_attacked_and_looked_into_on_all_of_its_generators(
    make_study: MakeStudy, catalogue: Catalogue
) -> None:
    cells = named(make_study(**READERS, train_generators=[GAN]), catalogue)
    plain = "attack/residual_cnn/gan/gan/source_only/seed0"
    assert {name for name in cells if name.startswith(plain)} == {f"{plain}/tconv/pgd", f"{plain}/nearest/pgd"}
    assert "attack/residual_cnn/gan/bilinear/coral/seed0/bilinear/pgd" in cells
    analysis = cells["analyse/residual_cnn/gan/gan/source_only/seed0/gradcam"]
    assert (analysis.params["seen"], analysis.params["unseen"]) == (["tconv", "nearest"], ["bilinear"])


def test_the_third_generators_of_a_group_are_not_in_it(make_study: MakeStudy, catalogue: Catalogue) -> None:
    study = make_study(train_generators=[GAN], adaptations=["coral"], selection=["leave_one_out"])
    with pytest.raises(InputError, match="no third generator beside gan and bilinear"):
        expand(study, catalogue)
    more = Catalogue((*catalogue.sets, *(image_set("latent8", split, family="dm") for split in Split)))
    watched = {
        cell.tags.target: list(cell.params["watched"]["third"])
        for cell in expand(study, more)
        if cell.stage is Stage.ADAPT and isinstance(cell.params["watched"], dict)
    }
    assert watched == {"bilinear": ["latent8"], "latent8": ["bilinear"]}


def test_fakes_are_as_many_as_reals_and_as_many_of_each_generator(make_study: MakeStudy, catalogue: Catalogue) -> None:
    shared = make_study(train_generators=[GAN], train_reals=["camera"])
    cell = named(shared, catalogue)["train/residual_cnn/gan/seed0"]
    assert cell.params["taken"] == {s: {"tconv": 5, "nearest": 5} for s in ("train", "val", "fusion")}
    assert (cell.reads[0].fakes, cell.reads[0].reals) == ({"tconv": 10, "nearest": 10}, {"camera": 20})
    enough = named(make_study(train_generators=[GAN]), catalogue)["train/residual_cnn/gan/seed0"]
    assert enough.params["taken"] == {}  # two cameras: as many reals as fakes
    everything = make_study(train_generators=[{**GAN, "balanced": False}], train_reals=["camera"])
    other = named(everything, catalogue)["train/residual_cnn/gan/seed0"]
    assert (other.params["taken"], other.reads[0].fakes) == ({}, {"tconv": 20, "nearest": 20})
    assert other.data != cell.data


@pytest.mark.parametrize(
    ("counts", "reals", "expected"),
    [
        ({"a": 30, "b": 30, "c": 30}, 30, {"a": 10, "b": 10, "c": 10}),
        ({"a": 4, "b": 30, "c": 30}, 30, {"b": 13, "c": 13}),  # the others make up for the small one
        ({"a": 30, "b": 30}, 31, {"a": 15, "b": 16}),
        ({"a": 5, "b": 5}, 30, {}),
        ({"a": 5, "b": 5}, 1, {"a": 1, "b": 1}),  # never nothing
    ],
)
def test_what_is_taken_of_each_generator(counts: dict[str, int], reals: int, expected: dict[str, int]) -> None:
    sets = [replace(image_set(name, Split.TRAIN), count=count) for name, count in counts.items()]
    camera = replace(image_set("camera", Split.TRAIN, family="real"), count=reals)
    taken = balanced(Catalogue((*sets, camera)), list(counts), ["camera"])
    assert taken == ({"train": expected} if expected else {})


def test_reals_that_came_with_the_generators_come_together(make_study: MakeStudy) -> None:
    fakes = ("tconv", "nearest", "bilinear")
    own = [image_set(f"{name}-real", split, family="real", partner=name) for name in fakes for split in Split]
    catalogue = Catalogue((*own, *(image_set(name, split) for name in fakes for split in Split)))
    cell = named(make_study(train_generators=[GAN], train_reals="own", test_reals="own"), catalogue)[
        "train/residual_cnn/gan/seed0"
    ]
    assert cell.params["reals"] == ["tconv-real", "nearest-real"]
    assert cell.params["taken"] == {}


@pytest.mark.parametrize(
    ("chosen", "where", "problem"),
    [
        ([{"name": "tconv", "generators": ["tconv", "nearest"]}], "train_generators.0.name", "a generator has this"),
        ([{"name": "camera", "generators": ["tconv", "nearest"]}], "train_generators.0.name", "a generator has this"),
        (["tconv", {"generators": ["tconv", "dalle"]}], "train_generators.1.generators", "not in the data"),
    ],
)
def test_a_group_of_what_is_not_there_or_named_as_a_generator_is_refused(
    make_study: MakeStudy, catalogue: Catalogue, chosen: object, where: str, problem: str
) -> None:
    with pytest.raises(InputError, match=problem) as caught:
        expand(make_study(train_generators=chosen), catalogue)
    assert caught.value.where == where


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ("[{generators: [tconv]}]", ["train_generators.0.generators", "list at least 2"]),
        ("[a, {name: a, generators: [b, c]}]", ["train_generators.1.name", "two have this name"]),
        (
            "[{generators: [a, b]}, {name: x, generators: [b, a]}]",
            ["train_generators.1", "'a+b'", "one thing under two"],
        ),
        ("[{generators: [a, a]}]", ["train_generators.0.generators.1", "listed twice"]),
        ("[{generators: [a, b], of: all}]", ["train_generators.0.of", "unknown key"]),
        ("[a, a]", ["train_generators.1", "listed twice"]),
        ("[]", ["train_generators", "an empty list selects nothing"]),
        ("[a, 3]", ["train_generators", "a list of names"]),
    ],
)
def test_what_is_wrong_with_a_group_is_told_with_its_place(tmp_path: Path, chosen: str, told: list[str]) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(f"name: x\ndata: {{root: y}}\ndetectors: [residual_cnn]\ntrain_generators: {chosen}\n")
    with pytest.raises(InputError) as caught:
        load_study(file)
    assert "study.yaml:4: " in str(caught.value)
    assert all(part in str(caught.value) for part in told), str(caught.value)


def test_sequences_start_from_single_generators(make_study: MakeStudy, catalogue: Catalogue) -> None:
    sequence = {"generators": ["tconv", "nearest"], "methods": ["naive"]}
    with pytest.raises(InputError, match="not among `train_generators`") as caught:
        expand(make_study(train_generators=[GAN, "nearest"], sequences=[sequence]), catalogue)
    assert caught.value.value == "tconv"

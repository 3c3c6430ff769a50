"""Sequences of generators: the cells of their steps, how they hang together, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import Cell, Stage
from orchestrator.plan.expand import expand
from orchestrator.plan.graph import Plan
from orchestrator.study.model import Study
from tests.orchestrator.plan.conftest import image_set
from trainables.contract import Split
from trainables.errors import InputError

MakeStudy = Callable[..., Study]
ALL = ["tconv", "nearest", "bilinear"]
METHODS = ["naive", "ewc"]


def along(generators: Sequence[str], methods: Sequence[Any] = METHODS, **more: Any) -> dict[str, Any]:
    return {"generators": list(generators), "methods": list(methods), **more}


def planned(make_study: MakeStudy, catalogue: Catalogue, *sequences: Mapping[str, Any], **changes: Any) -> Plan:
    given = {"train_generators": ALL, "adaptations": [], "sequences": list(sequences)} | changes
    return expand(make_study(**given), catalogue)


def steps(plan: Plan, **tags: Any) -> list[Cell]:
    """The adapt cells of sequences with these tags."""
    found = [cell for cell in plan if cell.stage is Stage.ADAPT and cell.tags.sequence]
    return [cell for cell in found if all(getattr(cell.tags, name) == value for name, value in tags.items())]


def test_every_method_has_a_step_a_generator_and_a_score_on_all_after_each(
    make_study: MakeStudy, catalogue: Catalogue
) -> None:
    grid = planned(make_study, catalogue, seeds=[0, 1])
    plan = planned(make_study, catalogue, along(ALL), seeds=[0, 1])
    new = [cell for cell in plan if cell.id not in grid.cells]
    assert {
        stage: sum(cell.stage is stage for cell in new) for stage in Stage if any(c.stage is stage for c in new)
    } == {
        Stage.ADAPT: 2 * 2 * 2,  # seeds × methods × steps
        Stage.SCORE: 2 * 2 * 2 * 3,
    }
    assert all(cell.tags.sequence == "tconv-nearest-bilinear" for cell in new)
    assert {cell.tags.sequence for cell in grid} == {""}
    assert len({cell.name for cell in plan}) == len(plan)


def test_step_0_is_the_source_detector_on_all_generators(make_study: MakeStudy, catalogue: Catalogue) -> None:
    plan = planned(make_study, catalogue, along(ALL))
    first = steps(plan, adaptation="naive", target="nearest")[0]
    (model,) = first.needs
    assert plan.cells[model].stage is Stage.TRAIN
    scored = [cell for cell in plan if cell.stage is Stage.SCORE and cell.needs == (model,)]
    assert {cell.tags.test for cell in scored} == set(ALL)
    assert {(cell.tags.sequence, cell.tags.adaptation) for cell in scored} == {("", "source_only")}


def test_each_step_goes_on_from_the_one_before(make_study: MakeStudy, catalogue: Catalogue) -> None:
    plan = planned(make_study, catalogue, along(ALL), seeds=[0, 1])
    for seed in (0, 1):
        for method in METHODS:
            first, second = steps(plan, adaptation=method, seed=seed)
            assert [cell.tags.target for cell in (first, second)] == ["nearest", "bilinear"]
            assert second.needs == (first.id,)
            assert plan.cells[first.needs[0]].tags.source == "tconv"
            assert plan.cells[first.needs[0]].tags.seed == seed
            assert {cell.tags.source for cell in (first, second)} == {"tconv"}
    order = list(plan.cells)
    assert all(order.index(parent) < order.index(cell.id) for cell in plan for parent in cell.needs)


def test_a_step_says_what_it_reads_and_of_whom(make_study: MakeStudy, catalogue: Catalogue) -> None:
    plan = planned(make_study, catalogue, along(ALL, ["replay"]))
    _, second = steps(plan)
    reals = ["camera", "phone"]
    assert second.params["earlier"] == {"tconv": reals, "nearest": reals}
    assert (second.params["source"], second.params["target"]) == ("tconv", "bilinear")
    assert (second.params["train_reals"], second.params["test_reals"]) == (reals, reals)
    earlier, target = second.reads
    assert (earlier.role, set(earlier.fakes), earlier.splits) == ("earlier", {"tconv", "nearest"}, ("train",))
    assert (target.role, set(target.fakes), set(target.splits)) == ("target", {"bilinear"}, {"train", "val"})
    assert second.name == "adapt/residual_cnn/tconv/bilinear/tconv-nearest-bilinear/replay/seed0"


@pytest.mark.parametrize(
    ("generator", "split", "changed"),
    [
        ("tconv", Split.TRAIN, {"nearest", "bilinear"}),
        ("nearest", Split.TRAIN, {"nearest", "bilinear"}),
        ("bilinear", Split.TRAIN, {"bilinear"}),
        ("bilinear", Split.VAL, {"bilinear"}),
        ("bilinear", Split.ADAPT, set()),
        ("bilinear", Split.TEST, set()),
    ],
)
def test_new_images_change_the_steps_that_read_them_and_those_after(
    make_study: MakeStudy, catalogue: Catalogue, generator: str, split: Split, changed: set[str]
) -> None:
    sets = [replace(s, digest="new") if (s.generator, s.split) == (generator, split) else s for s in catalogue.sets]
    before, after = (planned(make_study, given, along(ALL)) for given in (catalogue, Catalogue(tuple(sets))))
    assert {cell.tags.target for cell in steps(after) if cell.id not in before.cells} == changed


def test_the_order_and_the_parameters_of_a_method_are_part_of_its_steps(
    make_study: MakeStudy, catalogue: Catalogue
) -> None:
    plans = [
        planned(make_study, catalogue, along(generators, [method]))
        for generators in (ALL, ["tconv", "bilinear", "nearest"])
        for method in ("ewc", {"kind": "ewc", "weight": 5})
    ]
    ids = [{cell.id for cell in steps(plan)} for plan in plans]
    assert all(len(found) == 2 for found in ids)
    assert len(set.union(*ids)) == 8


def test_sequences_that_begin_alike_share_their_first_steps(make_study: MakeStudy, catalogue: Catalogue) -> None:
    more = Catalogue((*catalogue.sets, *(image_set("latent8", split) for split in Split)))
    all_four = [*ALL, "latent8"]
    plan = planned(make_study, more, along(ALL), along(["tconv", "nearest", "latent8"]), train_generators=all_four)
    assert [len(steps(plan, target=target)) for target in ("nearest", "bilinear", "latent8")] == [2, 2, 2]
    (shared,) = steps(plan, target="nearest", adaptation="ewc")
    lasts = [steps(plan, target=target, adaptation="ewc")[0] for target in ("bilinear", "latent8")]
    assert [last.needs for last in lasts] == [(shared.id,)] * 2
    scored = {c.tags.test for c in plan if c.stage is Stage.SCORE and c.needs == (shared.id,)}
    assert scored == set(all_four)


def test_a_sequence_starts_from_the_detectors_of_its_first_generator_alone(
    make_study: MakeStudy, catalogue: Catalogue
) -> None:
    plan = planned(make_study, catalogue, along(["bilinear", "tconv"], name="back"))
    assert {(cell.tags.source, cell.tags.target) for cell in steps(plan)} == {("bilinear", "tconv")}
    assert {cell.tags.sequence for cell in steps(plan)} == {"back"}


def test_steps_are_chosen_by_held_out_images_whatever_the_studys_rule(
    make_study: MakeStudy, catalogue: Catalogue
) -> None:
    given = {"adaptations": ["coral"], "selection": ["entropy"]}
    found = [steps(planned(make_study, catalogue, along(ALL), **extra)) for extra in ({}, given)]
    assert [cell.id for cell in found[0]] == [cell.id for cell in found[1]]
    assert {cell.params["selection"] for cell in found[1]} == {"source_val"}
    assert {cell.params["watched"] for cell in found[1]} == {None}


def test_each_generator_stands_against_its_own_reals(make_study: MakeStudy) -> None:
    reals = [image_set(f"{fake}-real", split, partner=fake, family="real") for fake in ALL for split in Split]
    own = Catalogue((*reals, *(image_set(fake, split) for fake in ALL for split in Split)))
    plan = planned(make_study, own, along(ALL, ["joint"]), train_reals="own", test_reals="own")
    first, second = steps(plan)
    assert first.params["earlier"] == {"tconv": ["tconv-real"]}
    assert second.params["earlier"] == {"tconv": ["tconv-real"], "nearest": ["nearest-real"]}
    assert (second.params["train_reals"], second.params["test_reals"]) == (["tconv-real"], ["bilinear-real"])


@pytest.mark.parametrize(
    ("fine", "generators", "changes", "place", "key"),
    [
        (["tconv", "nearest"], ["tconv", "dalle"], {}, 1, "train_generators"),
        (["tconv", "nearest"], ["dalle", "tconv"], {}, 0, "train_generators"),
        (["tconv", "nearest"], ALL, {"train_generators": ["tconv", "nearest"]}, 2, "train_generators"),
        (["tconv", "bilinear"], ALL, {"test_generators": ["tconv", "bilinear"]}, 1, "test_generators"),
    ],
)
def test_a_generator_outside_the_grid_is_refused_by_its_place(
    make_study: MakeStudy,
    catalogue: Catalogue,
    fine: list[str],
    generators: list[str],
    changes: dict[str, Any],
    place: int,
    key: str,
) -> None:
    with pytest.raises(InputError, match=f"it is not among `{key}`") as caught:
        planned(make_study, catalogue, along(fine), along(generators), **changes)
    assert caught.value.where == f"sequences.1.generators.{place}"
    assert caught.value.value == generators[place]


def test_two_sequences_of_one_name_are_refused(make_study: MakeStudy, catalogue: Catalogue) -> None:
    with pytest.raises(InputError, match="two have this name") as caught:
        planned(make_study, catalogue, along(ALL), along(ALL, ["joint"]))
    assert caught.value.where == "sequences.1.name"
    assert planned(make_study, catalogue, along(ALL), along(ALL, ["joint"], name="again"))


@pytest.mark.parametrize(
    ("sequence", "where"),
    [
        (along(["tconv"]), "sequences.0.generators"),
        (along(["tconv", "tconv"]), "sequences.0.generators"),
        (along(ALL, []), "sequences.0.methods"),
        (along(ALL, ["coral"]), "sequences.0.methods.0"),
        (along(ALL, ["naive", "naive"]), "sequences.0.methods"),
        (along(ALL, [{"kind": "replay", "images": -1}]), "sequences.0.methods.0"),
    ],
    ids=["one generator", "a generator twice", "no method", "not continual", "a method twice", "bad parameter"],
)
def test_what_is_no_sequence_is_refused(make_study: MakeStudy, sequence: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_study(train_generators=ALL, sequences=[sequence])
    assert ".".join(map(str, caught.value.errors()[0]["loc"])).startswith(where)


@pytest.mark.parametrize("kind", ["naive", "replay", "lwf", "ewc", "joint"])
def test_continual_methods_are_refused_as_adaptations(make_study: MakeStudy, kind: str) -> None:
    with pytest.raises(ValidationError, match="learns a sequence of generators"):
        make_study(adaptations=[kind])

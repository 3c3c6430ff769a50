"""What a study needs of its images for the rule that chooses, and for methods that draw a few labelled ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import Stage
from orchestrator.plan.expand import expand
from orchestrator.study.model import Study
from trainables.contract import Split
from trainables.errors import InputError

PAIR = {"train_generators": ["tconv"], "test_generators": ["tconv", "bilinear"], "adaptations": ["coral"]}
MakeStudy = Callable[..., Study]


def without(catalogue: Catalogue, *sets: tuple[str, Split]) -> Catalogue:
    return Catalogue(tuple(s for s in catalogue.sets if (s.generator, s.split) not in sets))


def counting(catalogue: Catalogue, **counts: int) -> Catalogue:
    """The ``few`` split with these counts."""
    return Catalogue(
        tuple(
            replace(s, count=counts[s.generator]) if s.split is Split.FEW and s.generator in counts else s
            for s in catalogue.sets
        )
    )


def refusal(study: Study, catalogue: Catalogue) -> InputError:
    with pytest.raises(InputError) as caught:
        expand(study, catalogue)
    return caught.value


def test_a_first_rule_that_looks_at_third_generators_needs_one_for_every_pair(
    make_study: MakeStudy, catalogue: Catalogue
) -> None:
    error = refusal(make_study(**PAIR, selection=["leave_one_out"]), catalogue)
    assert (error.where, error.value) == ("selection", "leave_one_out")
    assert "beside tconv and bilinear" in error.problem
    three = {**PAIR, "test_generators": ["tconv", "bilinear", "nearest"]}
    study = make_study(**three, selection=["leave_one_out"])
    third = {
        (c.tags.source, c.tags.target): list(c.params["watched"]["third"])
        for c in expand(study, catalogue)
        if c.stage is Stage.ADAPT
    }
    assert third == {("tconv", "bilinear"): ["nearest"], ("tconv", "nearest"): ["bilinear"]}
    error = refusal(study, without(catalogue, ("nearest", Split.VAL)))
    assert "beside tconv and bilinear" in error.problem


@pytest.mark.parametrize("lacking", ["bilinear", "phone"])
def test_a_first_rule_that_reads_target_labels_needs_held_out_images_of_every_target(
    make_study: MakeStudy, catalogue: Catalogue, lacking: str
) -> None:
    given = {**PAIR, "train_reals": ["camera"], "test_reals": ["phone"], "selection": ["oracle"]}
    cells = expand(make_study(**given), catalogue)
    assert all(c.params["watched"]["oracle"] for c in cells if c.stage is Stage.ADAPT)
    error = refusal(make_study(**given), without(catalogue, (lacking, Split.VAL)))
    assert (error.where, error.value) == ("selection", "oracle")
    assert error.problem.startswith(f"{lacking} has no images in the split `val`")


def test_rules_after_the_first_are_undefined_where_their_images_lack(
    make_study: MakeStudy, catalogue: Catalogue
) -> None:
    rules = ["source_val", "oracle", "leave_one_out"]
    lacking = without(catalogue, ("bilinear", Split.VAL))
    (cell,) = (c for c in expand(make_study(**PAIR, selection=rules), lacking) if c.stage is Stage.ADAPT)
    assert cell.params["watched"]["third"] == {}
    assert cell.params["watched"]["oracle"] is None


def test_a_study_that_adapts_nothing_has_nothing_to_choose(make_study: MakeStudy, catalogue: Catalogue) -> None:
    study = make_study(**{**PAIR, "adaptations": ["source_only"]}, selection=["leave_one_out"])
    assert not [cell for cell in expand(study, catalogue) if cell.stage is Stage.VALIDATE]


@pytest.mark.parametrize(
    ("few", "problem"),
    [
        ({"bilinear": 4}, "few_shot draws 5 fake images for bilinear, and the split `few` has 4"),
        ({"camera": 1, "phone": 3}, "few_shot draws 5 real images for bilinear, and the split `few` has 4"),
    ],
    ids=["fakes", "reals of two sources together"],
)
def test_more_few_images_than_there_are_is_refused_with_numbers(
    make_study: MakeStudy, catalogue: Catalogue, few: dict[str, int], problem: str
) -> None:
    def drawing(k: int) -> Study:
        return make_study(**{**PAIR, "adaptations": ["coral", {"kind": "few_shot", "k": k}]})

    short = counting(catalogue, **few)
    error = refusal(drawing(5), short)
    assert (error.problem, error.where, error.value) == (problem, "adaptations", "k: 5")
    assert error.fix is not None
    assert "4 at most" in error.fix
    assert expand(drawing(4), short).cells


def test_images_are_counted_only_for_methods_that_draw_them_and_targets_that_are_adapted_to(
    make_study: MakeStudy, catalogue: Catalogue
) -> None:
    platt: dict[str, Any] = {"kind": "recalibrate", "name": "platt", "how": "platt", "k": 10}
    short = counting(catalogue, bilinear=4, tconv=1)
    assert expand(make_study(**{**PAIR, "adaptations": [{**platt, "labels": "source_val"}]}), short).cells
    error = refusal(make_study(**{**PAIR, "adaptations": [{**platt, "labels": "few"}]}), short)
    assert "platt draws 10 fake images for bilinear" in error.problem
    assert expand(make_study(**{**PAIR, "adaptations": [{**platt, "labels": "few", "k": 4}]}), short).cells

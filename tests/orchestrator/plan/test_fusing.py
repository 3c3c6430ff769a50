"""Detectors that are fused from specialists: whose cells there are, and on what each is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil

import pytest

from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import Cell, Stage
from orchestrator.plan.expand import expand
from orchestrator.plan.graph import Plan
from orchestrator.plan.jobs import jobs
from orchestrator.study.model import Study
from tests.orchestrator.plan.conftest import image_set
from trainables.contract import Split
from trainables.errors import InputError

MakeStudy = Callable[..., Study]
BOTH = {"name": "both", "generators": ["tconv", "bilinear", "nearest"]}
FUSED = {"train_generators": [BOTH], "detectors": ["dfx"], "adaptations": []}


@pytest.fixture
def large(catalogue: Catalogue) -> Catalogue:
    """With 110 images of every generator and real source in every split but ``fusion``, which is empty."""
    return Catalogue(tuple(replace(s, count=110) for s in catalogue.sets if s.split is not Split.FUSION))


def trains(plan: Plan, variant: str = "") -> list[Cell]:
    return [cell for cell in plan if cell.stage is Stage.TRAIN and cell.tags.variant == variant]


def test_a_fusion_needs_its_three_specialists_which_need_nothing(make_study: MakeStudy, large: Catalogue) -> None:
    plan = expand(make_study(**FUSED), large)
    (fusion,) = trains(plan)
    parts = [trains(plan, family)[0] for family in ("dm", "gan", "real")]
    assert fusion.needs == tuple(part.id for part in parts)
    assert all(not part.needs and part.method == "backbone" for part in parts)
    assert {cell.needs for cell in plan if cell.stage is Stage.SCORE} == {(fusion.id,)}
    ready = [job for job in jobs(plan) if not job.needs and job.stage is Stage.TRAIN]
    assert [job.cells[0] for job in ready] == parts  # three jobs that can run at once


@pytest.mark.parametrize("ratio", [0.04, 0.07, 1.0])
def test_a_specialist_has_all_of_its_family_and_the_exact_share_of_each_other(
    make_study: MakeStudy, large: Catalogue, ratio: float
) -> None:
    plan = expand(make_study(**FUSED | {"detectors": [{"kind": "dfx", "ratio": ratio}]}), large)
    few = {0.04: 5, 0.07: 8, 1.0: 110}[ratio]  # of 110: 4.4, 7.7 and all, rounded up
    assert few == ceil(round(110 * ratio, 6))
    rest = {
        "dm": ["tconv", "nearest", "camera", "phone"],
        "gan": ["bilinear", "camera", "phone"],
        "real": ["tconv", "bilinear", "nearest"],
    }
    for family, names in rest.items():
        (cell,) = trains(plan, family)
        assert cell.params["taken"] == {s: dict.fromkeys(sorted(names), few) for s in ("train", "val")}
        counts = {**cell.reads[0].fakes, **cell.reads[0].reals}
        assert counts == {n: 2 * (few if n in names else 110) for n in counts}
        positive = {name for name, label in dict(cell.params["classes"]).items() if label == 1}
        assert positive == ({"tconv", "nearest", "bilinear"} if family == "real" else set(counts) - set(names))


def test_two_fusions_of_the_same_specialists_share_them(make_study: MakeStudy, large: Catalogue) -> None:
    two = [{"kind": "dfx", "name": "quick", "recipe": {"epochs": 5}}, {"kind": "dfx", "name": "slow"}]
    plan = expand(make_study(**FUSED | {"detectors": two}), large)
    assert len(trains(plan)) == 2
    assert len({cell.needs for cell in trains(plan)}) == 1
    assert [len(trains(plan, family)) for family in ("dm", "gan", "real")] == [1, 1, 1]
    other = [{"kind": "dfx", "specialist": {"epochs": 5}}, {"kind": "dfx", "name": "wider", "ratio": 0.1}]
    assert len({cell.needs for cell in trains(expand(make_study(**FUSED | {"detectors": other}), large))}) == 2


def test_a_fusion_is_trained_on_images_of_its_own_where_the_study_gives_it_some(
    make_study: MakeStudy, catalogue: Catalogue, large: Catalogue
) -> None:
    (apart,) = trains(expand(make_study(**FUSED), catalogue))
    (same,) = trains(expand(make_study(**FUSED), large))
    assert (apart.params["split"], apart.reads[0].splits) == ("fusion", ("val", "fusion"))
    assert (same.params["split"], same.reads[0].splits) == ("train", ("train", "val"))
    lacking = Catalogue(tuple(s for s in catalogue.sets if (s.generator, s.split) != ("phone", Split.FUSION)))
    (partly,) = trains(expand(make_study(**FUSED), lacking))
    assert partly.params["split"] == "train"


def test_its_classes_are_real_and_then_the_families_of_fakes(make_study: MakeStudy, large: Catalogue) -> None:
    (fusion,) = trains(expand(make_study(**FUSED), large))
    assert fusion.params["classes"] == {"camera": 0, "phone": 0, "bilinear": 1, "tconv": 2, "nearest": 2}
    group = {"generators": ["tconv", "bilinear"]}
    study = make_study(train_generators=[group], detectors=["dfx"], adaptations=["coral"])
    (adapted,) = (cell for cell in expand(study, large) if cell.stage is Stage.ADAPT)
    assert adapted.params["classes"] == {"tconv": 2, "bilinear": 1, "camera": 0, "phone": 0, "nearest": 2}
    assert all("classes" not in cell.params for cell in expand(make_study(train_generators=[group]), large))


def test_a_tuned_fusion_has_its_specialists_trained_once(make_study: MakeStudy, large: Catalogue) -> None:
    study = make_study(**FUSED | {"detectors": [{"kind": "dfx", "tuning": {"trials": 4}}]})
    plan = expand(study, large)
    (search,) = (cell for cell in plan if cell.stage is Stage.TUNE)
    assert search.needs == tuple(trains(plan, family)[0].id for family in ("dm", "gan", "real"))


@pytest.mark.parametrize(
    ("chosen", "told", "fix"),
    [
        (["tconv"], "tconv has tconv (gan), and none of the family dm", "[tconv, bilinear]"),
        ([{"generators": ["tconv", "nearest"]}], "nearest (gan), and none of the family dm", "bilinear]"),
        (["bilinear", BOTH], "bilinear has bilinear (dm), and none of the family gan", "[bilinear, nearest]"),
    ],
)
def test_a_source_without_both_families_is_refused(
    make_study: MakeStudy, large: Catalogue, chosen: object, told: str, fix: str
) -> None:
    with pytest.raises(InputError) as caught:
        expand(make_study(**FUSED | {"train_generators": chosen}), large)
    assert caught.value.where == "train_generators"
    assert told in caught.value.problem
    assert fix in str(caught.value.fix)


def test_a_generator_of_no_known_family_is_refused(make_study: MakeStudy, large: Catalogue) -> None:
    unknown = [replace(image_set("web", split, family="fake"), count=110) for split in Split]
    data = Catalogue((*large.sets, *unknown))
    group = {"generators": ["tconv", "bilinear", "web"]}
    with pytest.raises(InputError, match="the family of web is 'fake'"):
        expand(make_study(**FUSED | {"train_generators": [group]}), data)
    with pytest.raises(InputError, match="the family of web is 'fake'") as alone:  # first, though no dm is there
        expand(make_study(**FUSED | {"train_generators": ["web"]}), data)
    assert "{web: dm}" in str(alone.value.fix)
    assert expand(make_study(**FUSED), data)
    with pytest.raises(InputError, match="the family of web is 'fake'"):
        expand(make_study(**FUSED | {"adaptations": ["coral"]}), data)

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest

from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import Stage
from orchestrator.plan.expand import expand
from trainables.contract import Split
from trainables.data.sets import ImageSet
from trainables.errors import InputError
from trainables.registry import REGISTRIES


def test_the_whole_grid_is_there_once(make_study, catalogue):
    plan = expand(make_study(seeds=[0, 1], corruptions=["jpeg"], attacks=["pgd"], analyses=["gradcam"]), catalogue)
    trains = 2 * 2  # sources × seeds
    adapts = trains * 2 * 2  # other generators × adaptations that need a cell
    assert plan.stages() == {
        Stage.TRAIN: trains,
        Stage.ADAPT: adapts,
        Stage.SCORE: (trains + adapts) * 3 * 2,  # test sets × (clean, jpeg)
        Stage.ATTACK: trains + adapts,
        Stage.ANALYSE: trains,
    }
    assert len({cell.name for cell in plan}) == len(plan)


def test_parents_come_first_and_a_source_is_trained_once(make_study, catalogue):
    plan = expand(make_study(), catalogue)
    seen = set()
    for cell in plan:
        assert seen.issuperset(cell.needs)
        seen.add(cell.id)
    adapted = [cell for cell in plan if cell.stage is Stage.ADAPT and cell.tags.source == "tconv"]
    assert len({cell.needs for cell in adapted}) == 1


def test_source_only_needs_no_cell_of_its_own(make_study, catalogue):
    with_it = expand(make_study(adaptations=["source_only", "coral"]), catalogue)
    without = expand(make_study(adaptations=["coral"]), catalogue)
    assert with_it.hash == without.hash


def test_another_study_with_the_same_work_has_the_same_cells(make_study, catalogue):
    small, large = (
        make_study(),
        make_study(name="large", train_generators=["tconv", "nearest", "bilinear"], seeds=[0, 7]),
    )
    assert set(expand(small, catalogue).cells) < set(expand(large, catalogue).cells)


def test_naming_a_variant_does_not_change_its_cells(make_study, catalogue):
    named = make_study(adaptations=[{"kind": "coral", "name": "aligned"}])
    assert expand(named, catalogue).hash == expand(make_study(adaptations=["coral"]), catalogue).hash


def test_new_images_change_the_cells_that_read_them_and_no_others(make_study, catalogue):
    before = expand(make_study(), catalogue)
    changed = tuple(
        replace(s, digest="new") if (s.generator, s.split) == ("bilinear", Split.TEST) else s for s in catalogue.sets
    )
    after = expand(make_study(), Catalogue(changed))
    new = [cell for cell in after if cell.id not in before.cells]
    assert new
    assert all(cell.stage is Stage.SCORE and cell.tags.test == "bilinear" for cell in new)


def test_images_that_change_places_are_other_data(make_study, catalogue):
    swapped = {Split.TRAIN: Split.VAL, Split.VAL: Split.TRAIN}
    exchanged = Catalogue(
        tuple(replace(s, digest=f"{s.generator}-{swapped.get(s.split, s.split)}") for s in catalogue.sets)
    )
    before, after = expand(make_study(), catalogue), expand(make_study(), exchanged)
    assert not before.cells.keys() & {cell.id for cell in after if cell.stage is Stage.TRAIN}


@pytest.mark.parametrize(
    ("room", "name", "stage", "method"),
    [
        ("detectors", "residual_cnn", Stage.TRAIN, "residual_cnn"),
        ("adaptations", "coral", Stage.ADAPT, "coral"),
        ("corruptions", "jpeg", Stage.SCORE, "jpeg"),
        ("attacks", "pgd", Stage.ATTACK, "pgd"),
        ("analyses", "gradcam", Stage.ANALYSE, "gradcam"),
    ],
)
def test_a_members_version_is_part_of_its_cells(make_study, catalogue, monkeypatch, room, name, stage, method):
    study = make_study(corruptions=["jpeg"], attacks=["pgd"], analyses=["gradcam"])
    before = expand(study, catalogue)
    monkeypatch.setitem(REGISTRIES[room], name, replace(REGISTRIES[room][name], version=2))
    after = expand(study, catalogue)
    changed = {(cell.stage, cell.method) for cell in before if cell.id not in after.cells}
    assert (stage, method) in changed
    assert (Stage.SCORE, "clean") not in changed or room in ("detectors", "adaptations")


def test_workers_are_part_of_what_is_asked(make_study, catalogue):
    two = make_study(resources={"train": {"workers": 2}})
    launched = make_study(resources={"default": {"launcher": "train"}})
    assert expand(two, catalogue).hash != expand(make_study(), catalogue).hash
    assert expand(launched, catalogue).hash == expand(make_study(), catalogue).hash


def test_attacks_and_analyses_only_where_they_are_wanted(make_study, catalogue):
    plan = expand(make_study(attacks=[{"kind": "pgd", "adaptations": ["coral"]}], analyses=["gradcam"]), catalogue)
    assert {c.tags.adaptation for c in plan if c.stage is Stage.ATTACK} == {"coral"}
    assert {c.tags.adaptation for c in plan if c.stage is Stage.ANALYSE} == {"source_only"}
    assert all(c.tags.test == c.tags.target for c in plan if c.stage is Stage.ATTACK)


@pytest.mark.parametrize(
    ("changes", "where", "said"),
    [
        ({"train_generators": ["tcomv"]}, "train_generators", "tconv"),
        ({"test_generators": ["tconv", "dalle"]}, "test_generators", "choose from"),
        ({"data": {"root": "x", "test_reals": ["fone"]}}, "data.test_reals", "phone"),
    ],
)
def test_a_generator_that_is_not_in_the_data_is_refused_by_name(make_study, catalogue, changes, where, said):
    with pytest.raises(InputError, match=said) as caught:
        expand(make_study(**changes), catalogue)
    assert caught.value.where == where


def test_a_split_without_images_is_refused(make_study, catalogue):
    lacking = Catalogue(tuple(s for s in catalogue.sets if (s.generator, s.split) != ("bilinear", Split.ADAPT)))
    with pytest.raises(InputError, match="bilinear has no images in the split `adapt`, to adapt to") as caught:
        expand(make_study(), lacking)
    assert caught.value.where == "test_generators"
    assert expand(make_study(adaptations=[]), lacking)


def test_a_real_source_that_is_not_in_every_split_is_refused_with_those_that_are(make_study, catalogue):
    unseen = Catalogue(tuple(s for s in catalogue.sets if (s.generator, s.split) != ("phone", Split.TRAIN)))
    with pytest.raises(InputError, match="phone has no images in the split `train`") as caught:
        expand(make_study(), unseen)
    assert caught.value.where == "data.train_reals"
    assert "[camera]" in str(caught.value.fix)
    assert expand(make_study(data={"root": "x", "train_reals": ["camera"], "test_reals": ["phone"]}), unseen)


def test_a_hundred_thousand_cells_expand_quickly_and_small(make_study):
    names = [f"generator{i}" for i in range(10)]
    sets = [("camera", "real", 0), *((name, "gan", 1) for name in names)]
    catalogue = Catalogue(
        tuple(
            ImageSet(generator=name, family=family, label=label, split=split, count=9, digest=f"{name}{split}")
            for name, family, label in sets
            for split in Split
        )
    )
    study = make_study(
        train_generators=names,
        seeds=list(range(10)),
        corruptions=["jpeg"],
        adaptations=[{"kind": "coral", "name": f"coral{i}", "weight": float(i + 1)} for i in range(6)],
    )
    expand(make_study(train_generators=names, seeds=[99]), catalogue)  # imports of members are not what is measured
    tracemalloc.start()
    plan = expand(study, catalogue)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(plan) > 100_000
    assert peak < 500e6

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest

from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import Stage
from orchestrator.plan.expand import expand
from tests.orchestrator.plan.conftest import image_set
from trainables.contract import Split
from trainables.data.sets import ImageSet
from trainables.errors import InputError
from trainables.registry import REGISTRIES


def test_the_whole_grid_is_there_once(make_study, catalogue):
    plan = expand(make_study(seeds=[0, 1], corruptions=["jpeg"], attacks=["pgd"], analyses=["gradcam"]), catalogue)
    trains = 2 * 2  # sources × seeds
    adapts = trains * 2 * 2  # other generators × adaptations that need a cell
    assert plan.stages() == {
        Stage.AUDIT: 1,
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
    assert {cell.stage for cell in new} == {Stage.AUDIT, Stage.SCORE}
    assert all(cell.tags.test == "bilinear" for cell in new if cell.stage is Stage.SCORE)


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
    entry = REGISTRIES[room][name]
    monkeypatch.setitem(REGISTRIES[room], name, replace(entry, version=entry.version + 1))
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
    "changes",
    [
        {"attacks": ["pgd", {"kind": "pgd", "name": "lost", "steps": 3, "adaptations": ["source_only"]}]},
        {"test_generators": ["tconv"], "attacks": [{"kind": "pgd", "name": "lost", "adaptations": ["coral"]}]},
    ],
    ids=["of sources that are not tested", "of targets that there are not"],
)
def test_an_attack_that_would_be_made_on_nothing_is_refused(make_study, catalogue, changes):
    study = make_study(**{"train_generators": ["tconv"], "test_generators": ["nearest"], **changes})
    with pytest.raises(InputError, match="no detector would be attacked") as caught:
        expand(study, catalogue)
    assert caught.value.where == f"attacks.{len(study.attacks) - 1}"
    assert caught.value.value == "lost"


@pytest.mark.parametrize(
    ("changes", "where", "said"),
    [
        ({"train_generators": ["tcomv"]}, "train_generators", "tconv"),
        ({"test_generators": ["tconv", "dalle"]}, "test_generators", "choose from"),
        ({"test_reals": ["fone"]}, "test_reals", "phone"),
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
    assert caught.value.where == "train_reals"
    assert "[camera]" in str(caught.value.fix)
    assert expand(make_study(train_reals=["camera"], test_reals=["phone"]), unseen)


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


def test_the_audit_comes_first_and_reads_every_image_that_the_study_reads(make_study, catalogue):
    study = make_study(train_generators=["tconv"], test_generators=["nearest"], test_reals=["phone"])
    first, *others = expand(study, catalogue)
    assert first.stage is Stage.AUDIT
    assert not first.needs
    assert first.params["against"] == {"tconv": ["camera", "phone"], "nearest": ["phone"]}
    assert first.reads == (catalogue.whole(["tconv", "nearest"], ["camera", "phone"]),)
    assert set(first.reads[0].splits) == {split.value for split in Split}
    assert Stage.AUDIT not in {cell.stage for cell in others}


def test_an_audit_is_shared_by_studies_that_read_the_same_images_in_the_same_way(make_study, catalogue):
    def audit(**changes):
        return next(iter(expand(make_study(**changes), catalogue)))

    same = audit(name="other", seeds=[1, 2], adaptations=[], detectors=["resnet18"])
    assert same == audit()
    assert audit(preprocess={"size": 32}) != audit()
    assert audit(test_reals=["phone"], train_reals=["phone"]) != audit()


def test_cells_say_what_they_read_and_as_what(make_study, catalogue):
    plan = expand(make_study(attacks=["pgd"], analyses=["gradcam"], test_reals=["phone"]), catalogue)
    cells = {cell.name: cell for cell in plan}
    adapted, train = cells["adapt/residual_cnn/tconv/nearest/coral/seed0"], cells["train/residual_cnn/tconv/seed0"]
    source, target = adapted.reads
    assert train.reads == (source,)
    assert (source.role, source.fakes, source.reals) == ("source", {"tconv": 20}, {"camera": 20, "phone": 20})
    assert source.splits == ("train", "val")
    assert (target.role, target.fakes, target.reals) == ("target", {"nearest": 10}, {"phone": 10})
    assert target.splits == ("adapt",)
    (seen,) = cells["analyse/residual_cnn/tconv/tconv/source_only/seed0/gradcam"].reads
    assert (seen.role, seen.fakes) == ("test", {"tconv": 10, "bilinear": 10, "nearest": 10})
    assert all(cell.data == cell.reads[0].digest for cell in plan if len(cell.reads) == 1)
    assert all(cell.reads for cell in plan)


def with_own_reals(*fakes: str) -> Catalogue:
    """Reals that came with each of these generators, and fakes of one more without any."""
    reals = tuple(image_set(f"{fake}-real", split, partner=fake, family="real") for fake in fakes for split in Split)
    return Catalogue(
        reals + tuple(image_set(fake, split) for fake in ("tconv", "nearest", "bilinear") for split in Split)
    )


def test_each_generator_stands_against_the_reals_that_came_with_it(make_study):
    study = make_study(train_reals="own", test_reals="own", attacks=["pgd"], analyses=["gradcam"])
    cells = {cell.name: cell for cell in expand(study, with_own_reals("tconv", "nearest", "bilinear"))}

    def reals(name: str, key: str = "reals") -> object:
        return cells[name].params[key]

    assert reals("train/residual_cnn/tconv/seed0") == ["tconv-real"]
    adapted = "adapt/residual_cnn/tconv/nearest/coral/seed0"
    assert (reals(adapted, "train_reals"), reals(adapted, "test_reals")) == (["tconv-real"], ["nearest-real"])
    assert reals("score/residual_cnn/tconv/nearest/coral/seed0/bilinear") == ["bilinear-real"]
    assert reals("attack/residual_cnn/tconv/nearest/coral/seed0/nearest/pgd") == ["nearest-real"]
    assert reals("analyse/residual_cnn/tconv/tconv/source_only/seed0/gradcam") == ["tconv-real"]
    assert reals("audit", "against") == {
        "tconv": ["tconv-real"],
        "nearest": ["nearest-real"],
        "bilinear": ["bilinear-real"],
    }
    assert [set(reading.reals) for reading in cells[adapted].reads] == [{"tconv-real"}, {"nearest-real"}]


def test_reals_that_all_generators_share_are_on_the_targets_side_alone(make_study):
    study = make_study(train_reals="own", test_reals=["nearest-real"])
    cells = {cell.name: cell for cell in expand(study, with_own_reals("tconv", "nearest"))}
    assert cells["train/residual_cnn/tconv/seed0"].params["reals"] == ["tconv-real"]
    assert cells["score/residual_cnn/tconv/tconv/source_only/seed0/tconv"].params["reals"] == ["nearest-real"]


@pytest.mark.parametrize("key", ["train_reals", "test_reals"])
def test_a_generator_that_came_without_reals_has_none_of_its_own(make_study, key):
    study = make_study(**{key: "own", "train_generators": "all"})
    with pytest.raises(InputError, match="no real images came with this generator") as caught:
        expand(study, with_own_reals("tconv", "nearest"))
    assert (caught.value.where, caught.value.value) == (key, "bilinear")
    assert "tconv-real" in str(caught.value.fix)


def test_a_source_that_is_not_tested_needs_reals_to_be_analysed_but_none_to_adapt_to(make_study):
    whole = with_own_reals("tconv", "nearest", "bilinear")
    lacking = Catalogue(tuple(s for s in whole.sets if (s.generator, s.split) != ("tconv-real", Split.ADAPT)))
    study = make_study(train_generators=["tconv"], test_generators=["nearest"], test_reals="own", analyses=["gradcam"])
    assert expand(study, lacking)
    untested = Catalogue(tuple(s for s in whole.sets if (s.generator, s.split) != ("tconv-real", Split.TEST)))
    with pytest.raises(InputError, match="tconv-real has no images in the split `test`"):
        expand(study, untested)

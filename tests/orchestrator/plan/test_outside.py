"""The cells of a detector that is known by its scores alone, beside one that is trained."""

from __future__ import annotations

import shutil

import pytest

from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import Stage
from orchestrator.plan.expand import expand
from tests.orchestrator.plan.conftest import image_set
from trainables.contract import Split
from trainables.errors import InputError

EVERYTHING = {"seeds": [3, 4], "corruptions": ["jpeg"], "attacks": ["pgd"], "analyses": ["gradcam"]}


@pytest.fixture
def table(tmp_path):
    file = tmp_path / "scores.csv"
    file.write_text("image,score\na.png,0.25\nb.png,0.75\n")
    return file


def ours(plan):
    return [cell for cell in plan if cell.tags.detector == "vendor"]


def planned(make_study, catalogue, file, **changes):
    vendor = {"kind": "scores", "name": "vendor", "file": str(file)}
    return expand(make_study(**{"detectors": ["residual_cnn", vendor], **changes}), catalogue)


def test_it_is_scored_once_clean_on_every_test_set_and_nothing_else(make_study, catalogue, table):
    plan = planned(make_study, catalogue, table, **EVERYTHING)
    others = expand(make_study(**EVERYTHING), catalogue)

    first, *scores = ours(plan)
    assert (first.stage, first.method, first.needs) == (Stage.TRAIN, "scores", ())
    assert first.params["images"] == ["bilinear", "nearest", "tconv", "camera", "phone"]
    assert [(cell.stage, cell.method, cell.tags.test, cell.tags.variant) for cell in scores] == [
        (Stage.SCORE, "outside", test, "") for test in ("bilinear", "nearest", "tconv")
    ]
    assert {cell.needs for cell in scores} == {(first.id,)}
    assert {(c.tags.source, c.tags.target, c.tags.adaptation, c.tags.seed) for c in ours(plan)} == {
        ("outside", "outside", "source_only", 3)
    }
    assert [cell.id for cell in plan if cell.tags.detector != "vendor"] == list(others.cells)


def test_alone_it_needs_no_train_generator(make_study, catalogue, table):
    vendor = [{"kind": "scores", "name": "vendor", "file": str(table)}]
    alone = expand(make_study(detectors=vendor, train_generators=None, adaptations=["coral"]), catalogue)
    (audit,) = (cell for cell in alone if cell.stage is Stage.AUDIT)
    assert list(audit.params["against"]) == ["bilinear", "nearest", "tconv"]
    assert [cell for cell in alone if cell is not audit] == ours(planned(make_study, catalogue, table))


def test_its_cells_are_of_what_the_table_says_wherever_it_lies(make_study, catalogue, table, tmp_path):
    before = ours(planned(make_study, catalogue, table))
    moved = tmp_path / "elsewhere.csv"
    shutil.copy(table, moved)
    assert ours(planned(make_study, catalogue, moved)) == before

    table.write_text("image,score\na.png,0.25\nb.png,0.5\n")
    assert not set(ours(planned(make_study, catalogue, table))) & set(before)


def test_images_that_are_called_otherwise_are_looked_up_again(make_study, catalogue, table):
    before = planned(make_study, catalogue, table)
    renamed = planned(make_study, Catalogue(catalogue.sets, "renamed"), table)
    assert not set(ours(renamed)) & set(ours(before))
    trained = [[cell for cell in plan if cell.stage is Stage.ADAPT] for plan in (before, renamed)]
    assert trained[0] == trained[1]


def test_a_generator_of_the_name_that_tables_use_is_refused(make_study, catalogue, table):
    odd = tuple(image_set("outside", split) for split in Split)
    with pytest.raises(InputError, match=r"detectors\.1: tables use this name"):
        planned(make_study, Catalogue((*catalogue.sets, *odd)), table)


def test_it_is_never_tuned(make_study, catalogue, table):
    plan = planned(make_study, catalogue, table, tuning={"trials": 2})
    assert Stage.TUNE not in {cell.stage for cell in ours(plan)}
    assert Stage.TUNE in plan.stages()
    tuned = {"kind": "scores", "file": str(table), "tuning": {"space": {"scale": {"choices": ["logit"]}}}}
    with pytest.raises(ValueError, match="nothing to tune"):
        make_study(detectors=[tuned])

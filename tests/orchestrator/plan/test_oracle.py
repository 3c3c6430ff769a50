"""Methods that read labels of the target: which splits, under which selection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.cells import Cell, Stage
from orchestrator.plan.expand import expand
from orchestrator.study.model import Study
from trainables.contract import Split
from trainables.errors import InputError

FEW = {"kind": "recalibrate", "name": "platt", "how": "platt", "labels": "few"}


def _adapted(study: Study, catalogue: Catalogue, name: str) -> list[Cell]:
    return [c for c in expand(study, catalogue).cells.values() if c.stage is Stage.ADAPT and c.tags.adaptation == name]


@pytest.mark.parametrize(
    ("given", "splits"),
    [
        ("coral", ("adapt",)),
        ("recalibrate", ("adapt",)),
        ("few_shot", ("adapt", "few")),
        (FEW, ("adapt", "few")),
        ({**FEW, "labels": "source_val"}, ("adapt",)),
        ("oracle", ("adapt", "train", "val")),
    ],
    ids=str,
)
def test_a_cell_reads_the_splits_that_its_method_asks_for(
    make_study: Callable[..., Study], catalogue: Catalogue, given: Any, splits: tuple[str, ...]
) -> None:
    study = make_study(adaptations=["source_only", given])
    name = given if isinstance(given, str) else given["name"]
    cells = _adapted(study, catalogue, name)
    assert cells
    for cell in cells:
        of_target = [read for read in cell.reads if read.role == "target"]
        assert [set(read.splits) for read in of_target] == [set(splits)]


def test_the_oracles_models_and_their_scores_are_selected_by_the_oracle_and_no_others(
    make_study: Callable[..., Study], catalogue: Catalogue
) -> None:
    plan = expand(make_study(adaptations=["source_only", "coral", "oracle"]), catalogue)
    of = {
        is_oracle: {c.tags.selection for c in plan.cells.values() if (c.tags.adaptation == "oracle") is is_oracle}
        for is_oracle in (True, False)
    }
    assert of == {True: {"oracle"}, False: {"source_val"}}
    stages = {c.stage for c in plan.cells.values() if c.tags.selection == "oracle"}
    assert {Stage.ADAPT, Stage.SCORE} <= stages
    adapted = [c for c in plan.cells.values() if c.stage is Stage.ADAPT]
    assert all(c.params["selection"] == c.tags.selection for c in adapted)


def test_another_train_split_of_the_target_is_another_oracle_and_the_same_coral(
    make_study: Callable[..., Study], catalogue: Catalogue
) -> None:
    study = make_study(train_generators=["tconv"], test_generators=["bilinear"], adaptations=["coral", "oracle"])
    read = ("bilinear", Split.TRAIN)
    sets = [replace(s, digest="other") if (s.generator, s.split) == read else s for s in catalogue.sets]
    for name, same in (("coral", True), ("oracle", False)):
        (before,), (after,) = (_adapted(study, given, name) for given in (catalogue, Catalogue(tuple(sets))))
        assert (before.id == after.id) is same


def test_an_oracle_without_labelled_images_to_choose_with_is_refused(
    make_study: Callable[..., Study], catalogue: Catalogue
) -> None:
    lacking = Catalogue(tuple(s for s in catalogue.sets if (s.generator, s.split) != ("bilinear", Split.VAL)))
    generators = {"train_generators": ["tconv"], "test_generators": ["bilinear"]}
    assert expand(make_study(**generators, adaptations=["coral"]), lacking).cells
    with pytest.raises(InputError, match="bilinear has no images in the split `val`"):
        expand(make_study(**generators, adaptations=["oracle"]), lacking)

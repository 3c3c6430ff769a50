"""What a report takes for in-dataset where a detector was trained on several generators at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.plan.catalogue import Catalogue
from orchestrator.plan.expand import expand
from orchestrator.store.artifacts import Artifacts
from orchestrator.study.model import Study
from reports.results import Model, Results
from reports.statistics import Resampler
from tests.orchestrator.plan.conftest import FAMILIES, image_set
from trainables.contract import Split


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Nothing is done yet of a group of two generators, one of them not tested, and of a third generator."""
    catalogue = Catalogue(tuple(image_set(name, split) for name in FAMILIES for split in Split))
    study = Study.model_validate(
        {
            "name": "small",
            "data": {"root": "images"},
            "detectors": ["residual_cnn"],
            "train_generators": [{"name": "both", "generators": ["tconv", "bilinear"]}, "nearest"],
            "test_generators": ["nearest", "tconv"],
            "adaptations": ["coral"],
        }
    )
    cells = tuple(expand(study, catalogue))
    return Results(cells, {}, {}, {}, Artifacts(tmp_path), Resampler(10))


def test_every_generator_of_a_group_is_in_dataset(results: Results) -> None:
    assert results.tests == ("tconv", "nearest")
    assert results.diagonal == (("both", "tconv"), ("nearest", "nearest"))
    assert results.pairs == (("both", "nearest"), ("nearest", "tconv"))
    assert results.own("both") == ("tconv",)
    assert results.seen("both", "bilinear")


def test_the_source_detector_stands_where_its_generators_are_tested(results: Results) -> None:
    plain, adapted = Model("d", "source_only", "both", "both"), Model("d", "coral", "both", "nearest")
    assert results.entry("d", "coral", "both", "tconv") == plain
    assert results.entry("d", "coral", "both", "nearest") == adapted

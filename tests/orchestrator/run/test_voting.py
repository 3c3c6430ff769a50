"""A study in which training sees a part of an image's squares, and everything else all of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from orchestrator.images import StudyImages
from orchestrator.plan.cells import Cell, Stage
from orchestrator.plan.expand import expand
from orchestrator.run.adapting import adaptation_data
from orchestrator.run.driver import Run
from orchestrator.run.place import Place
from orchestrator.run.serial import run_serially
from orchestrator.store.ledger import Ledger
from orchestrator.store.records import Record, Status
from orchestrator.study.model import Study
from tests.conftest import SMALL
from trainables.checkpoint import load_detector
from trainables.contract import Split
from trainables.data.manifest import Manifest
from trainables.data.preprocess import Preprocess
from trainables.data.reader import Reader
from trainables.score import score
from trainables.selection.trace import EPOCHS, TARGET, Trace

SQUARES = {"kind": "random", "count": 4, "top": 3}
RECIPE = {"epochs": 2, "batch": 8}
STUDY = {
    "name": "voting",
    "preprocess": {"size": 16, "patches": {**SQUARES, "training": 2}},
    "detectors": [{"kind": "residual_cnn", "width": 4, "recipe": RECIPE}],
    "train_generators": ["tconv"],
    "test_generators": ["bilinear"],
    "adaptations": [{"kind": "coral", "recipe": RECIPE}],
    "selection": ["source_val", "im"],
}
Ran = tuple[Place, Mapping[Stage, Cell], Mapping[Stage, Record]]


@pytest.fixture(scope="module")
def ran(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    storage = tmp_path_factory.mktemp("storage")
    study = Study.model_validate({**STUDY, "data": {"root": small_data}, "storage": storage})
    found, index = StudyImages(study, storage / "indexes"), storage / "manifest.parquet"
    found.manifest.save(index)
    place = Place(storage=storage, index=index, cache=storage / "cache")
    plan = expand(study, found.catalogue)
    run_serially(Run(plan, place, Ledger(storage), study.resources))
    records = Ledger(storage).records()
    assert [(r.name, r.failure) for r in records.values() if r.status is not Status.DONE] == []
    cells = {cell.stage: cell for cell in plan}
    return place, cells, {stage: records[cell.id] for stage, cell in cells.items()}


def test_an_epoch_is_as_long_as_the_squares_that_are_trained_on(ran: Ran) -> None:
    _, _, records = ran
    squares = 2 * 2 * SMALL[Split.TRAIN]  # two of every image, and as many reals as fakes
    assert records[Stage.TRAIN].images == 2 * squares
    target = 2 * 2 * SMALL[Split.ADAPT]  # seen as often as the source in training, and once more after it
    assert records[Stage.ADAPT].images == 2 * 2 * squares + target
    assert records[Stage.SCORE].images == 4 * 2 * SMALL[Split.TEST]


def test_what_is_learnt_from_is_seen_in_part_and_the_rest_whole(ran: Ran) -> None:
    place, cells, _ = ran
    data = adaptation_data(cells[Stage.ADAPT], place.reader(cells[Stage.ADAPT]), frozenset({"few"}))
    assert data.few is not None
    assert (data.source_train.views, data.source_val.views, data.few.views) == (2, 4, 2)
    assert (data.source_train.top, data.source_val.top) == (None, 3)
    assert len(data.target) == 2 * 2 * SMALL[Split.ADAPT]


def test_rules_of_selection_see_the_target_whole(ran: Ran) -> None:
    place, cells, _ = ran
    folder = place.folder(cells[Stage.ADAPT].id)
    trace, (detector, _) = Trace.load(folder / EPOCHS), load_detector(folder)
    whole = Preprocess.model_validate({"size": 16, "patches": SQUARES})
    reals = [str(name) for name in cells[Stage.ADAPT].params["test_reals"]]
    images = Reader(Manifest.load(place.index), whole, place.cache).images([*reals, "bilinear"], Split.ADAPT)
    votes = np.sort(score(detector, images.pixels).reshape(-1, 4), axis=1)[:, 1:].mean(axis=1)
    expected = dict(zip([square.partition("/")[0] for square in images.ids[::4]], votes, strict=True))
    found = 1 / (1 + np.exp(-trace.log_odds[TARGET][-1].astype(np.float64)))
    assert dict(zip(trace.ids[TARGET], found, strict=True)) == pytest.approx(expected, abs=1e-5)

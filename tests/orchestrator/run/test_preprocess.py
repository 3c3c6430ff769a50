"""A grid of detectors that see images in two ways, run for real."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from orchestrator.campaign import Campaign
from orchestrator.plan.cells import Cell, Stage
from orchestrator.plan.graph import Plan
from orchestrator.predict import predict_paths
from orchestrator.run.context import FEATURES
from orchestrator.store.tables import SCORES_FILE, read_scores
from orchestrator.study.model import Study
from trainables.checkpoint import load_detector
from trainables.contract import Split
from trainables.data.preprocess import Preprocess

CROPPED, RESIZED = Preprocess(size=32), Preprocess(size=40, fit="resize")
SEEN = {"plain": CROPPED, "scaled": RESIZED, "frozen": CROPPED, "frozen_scaled": RESIZED}
QUICK = {"epochs": 1, "batch": 8}
CNN = {"kind": "residual_cnn", "width": 4, "recipe": QUICK}
OWN = {"preprocess": {"size": 40, "fit": "resize"}}


class Ran(NamedTuple):
    campaign: Campaign
    plan: Plan

    def cell(self, stage: Stage, detector: str, adaptation: str = "source_only") -> Cell:
        wanted = (stage, detector, adaptation)
        (cell,) = (c for c in self.plan if (c.stage, c.tags.detector, c.tags.adaptation) == wanted)
        return cell

    def folder(self, cell: Cell) -> Path:
        return self.campaign.place().folder(cell.id)


def campaign_of(storage: Path, images: Path, **given: Any) -> Campaign:
    named = {"name": "ways", "data": {"root": images}, "storage": storage, "preprocess": {"size": 32}}
    grid = {
        "train_generators": ["tconv"],
        "test_generators": ["bilinear"],
        "adaptations": [{"kind": "coral", "recipe": QUICK}],
    }
    return Campaign(Study.model_validate({**named, **grid, **given}))


@pytest.fixture(scope="module")
def ran(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A trained and a solved detector, each as the study sees images and in a way of its own."""
    detectors = [
        {**CNN, "name": "plain"},
        {**CNN, "name": "scaled", **OWN},
        "frozen",
        {"kind": "frozen", "name": "frozen_scaled", **OWN},
    ]
    campaign = campaign_of(tmp_path_factory.mktemp("storage"), small_data, detectors=detectors)
    assert campaign.run(executor="serial").exit_code == 0
    return Ran(campaign, campaign.plan())


@pytest.mark.parametrize("adaptation", ["source_only", "coral"])
@pytest.mark.parametrize("detector", SEEN)
def test_a_checkpoint_says_how_its_detector_sees_images(ran: Ran, detector: str, adaptation: str) -> None:
    cell = ran.cell(Stage.TRAIN if adaptation == "source_only" else Stage.ADAPT, detector, adaptation)
    _, card = load_detector(ran.folder(cell))
    assert Preprocess.model_validate(card["image"]) == SEEN[detector]


@pytest.mark.parametrize("detector", SEEN)
def test_scores_and_predictions_are_of_the_images_as_it_sees_them(ran: Ran, small_data: Path, detector: str) -> None:
    kept = read_scores(ran.folder(ran.cell(Stage.SCORE, detector)) / SCORES_FILE).set_index("image")["score"]
    rows = ran.campaign.images.manifest.rows("bilinear", Split.TEST)
    predicted = predict_paths(ran.folder(ran.cell(Stage.TRAIN, detector)), [small_data / path for path in rows["path"]])
    assert [each.p_fake for each in predicted] == pytest.approx(kept[rows["digest"]].tolist(), abs=1e-6)


@pytest.mark.parametrize("pair", [("plain", "scaled"), ("frozen", "frozen_scaled")])
def test_another_way_gives_other_scores_of_the_same_images(ran: Ran, pair: tuple[str, str]) -> None:
    first, second = (read_scores(ran.folder(ran.cell(Stage.SCORE, name)) / SCORES_FILE) for name in pair)
    assert first["image"].tolist() == second["image"].tolist()
    assert np.abs(first["score"] - second["score"]).max() > 1e-3


def test_features_of_one_network_are_kept_for_each_way(ran: Ran) -> None:
    files = list((ran.campaign.place().cache / FEATURES).glob("*.npy"))
    assert len(files) == 2 * 3 * 3  # two ways; a generator and two cameras; train, val and test


def test_a_study_that_is_all_of_one_way_finds_the_cells_of_it_done(ran: Ran, small_data: Path) -> None:
    detectors = [{**CNN, "name": "any"}, "frozen"]
    other = campaign_of(ran.campaign.storage, small_data, name="other", detectors=detectors, **OWN)
    assert {cell.stage for cell in other.plan() if other.ledger().get(cell.id) is None} == {Stage.AUDIT}


def test_readers_of_several_ways_stay_open_side_by_side_and_share_what_is_known_of_the_files(ran: Ran) -> None:
    place = ran.campaign.place()
    cells = [ran.cell(Stage.SCORE, name) for name in ("plain", "scaled")]
    first, second = (place.reader(cell) for cell in cells)
    assert first is not second
    assert [place.reader(cell) for cell in cells] == [first, second]
    assert place.manifest() is place.manifest()
    assert [each.images(["bilinear"], Split.TEST).pixels.shape[1] for each in (first, second)] == [32, 40]


def test_ways_share_the_budget_of_the_cache_evenly(small_data: Path, tmp_path: Path) -> None:
    def budget(*detectors: Any) -> float:
        return campaign_of(tmp_path, small_data, detectors=list(detectors), cache={"gigabytes": 6}).place().budget

    tiles = {"kind": "dct", "preprocess": {"size": 32, "patches": "grid"}}
    assert budget("npr", "srm") == 6e9
    assert budget("npr", {"kind": "srm", **OWN}) == 3e9
    assert budget("npr", {"kind": "srm", **OWN}, {"kind": "frozen", **OWN}, tiles) == 2e9
    assert budget({"kind": "srm", **OWN}) == 6e9  # nobody sees images as the study does: the audit keeps nothing


def test_check_tells_of_ways_of_their_own_and_of_images_that_these_cannot_take(
    small_data: Path, tmp_path: Path
) -> None:
    def told(preprocess: dict[str, Any]) -> str:
        own = {"kind": "frozen", "name": "own", "preprocess": preprocess}
        return str(campaign_of(tmp_path, small_data, detectors=["npr", own]).check())

    assert 'preprocess of own: {"size":40,"fit":"resize","filter":"bicubic"}' in told(OWN["preprocess"])
    assert "preprocess of" not in told({"size": 32})
    with pytest.raises(ValueError, match=r"64x64 pixels: smaller than the crop of 65x65 \(`preprocess` of own\)"):
        told({"size": 65})

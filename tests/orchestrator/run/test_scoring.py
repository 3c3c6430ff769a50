"""Score cells of images that are seen through several squares, or that several real sources have in common."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from orchestrator.plan.cells import Cell, CellId, Stage, Tags
from orchestrator.plan.jobs import Job
from orchestrator.predict import predict_paths
from orchestrator.run.execute import execute
from orchestrator.run.place import Place
from orchestrator.store.records import Record, Status
from orchestrator.store.tables import SCORES_FILE, read_scores
from tests.trainables.data.written import manifest_of
from trainables.checkpoint import save_detector
from trainables.context import LocalContext
from trainables.contract import Split
from trainables.data.preprocess import Preprocess
from trainables.detector import as_input, build_detector
from trainables.metrics import detection_metrics
from trainables.registry import find

MODEL = CellId("0" * 20)
TILES = {"size": 32, "patches": {"kind": "grid"}}
TAGS = Tags(detector="d", source="gan", target="gan", adaptation="source_only", seed=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two real sources of three images, one of them in both, and a generator of three."""
    rng = np.random.default_rng(0)
    root = tmp_path / "images"
    for name in ("real/coco", "real/ffhq", "fake/gan"):
        (root / name).mkdir(parents=True)
        for k in range(3):
            Image.fromarray(rng.integers(0, 256, (70, 66, 3), dtype=np.uint8)).save(root / name / f"{k}.png")
    shutil.copy(root / "real/ffhq/1.png", root / "real/coco/1.png")
    return root


def place_of(folder: Path, image: Preprocess) -> Place:
    """A storage with the folder's manifest and a detector of random weights."""
    storage = folder.parent
    place = Place(storage=storage, index=storage / "manifest.parquet", cache=storage / "cache")
    manifest_of(folder).save(place.index)
    config = find("detectors", "residual_cnn").config()
    card = {"kind": "residual_cnn", "config": config.model_dump(mode="json"), "image": image}
    save_detector(place.folder(MODEL), build_detector("residual_cnn", config, seed=0), card)
    return place


def scored(image: dict[str, Any], *reals: str, corruption: dict[str, Any] | None = None) -> Cell:
    """The cell of ``gan`` against these reals, seen so."""
    params = {"corruption": corruption, "image": image, "test": "gan", "reals": list(reals)}
    return Cell(stage=Stage.SCORE, method="jpeg" if corruption else "clean", params=params, needs=(MODEL,), tags=TAGS)


def run(place: Place, *cells: Cell) -> list[Record]:
    """Their records, made by one job."""
    records = execute(Job(cells, frozenset()), place, lambda cell: LocalContext(folder=place.folder(cell.id)))
    assert [(record.status, record.failure) for record in records] == [(Status.DONE, None)] * len(cells)
    return records


@pytest.mark.parametrize("corruption", [None, {"quality": 50}], ids=["clean", "jpeg"])
def test_the_score_of_an_image_is_the_mean_over_its_squares(folder: Path, corruption: dict[str, Any] | None) -> None:
    place = place_of(folder, Preprocess.model_validate(TILES))
    cell = scored(TILES, "coco", corruption=corruption)
    (record,) = run(place, cell)
    detector = build_detector("residual_cnn", find("detectors", "residual_cnn").config(), seed=0).eval()
    rows = read_scores(place.folder(cell.id) / SCORES_FILE).set_index("image")
    assert len(rows) == 6
    for _, image in manifest_of(folder).frame.query("generator != 'ffhq'").iterrows():
        pixels = np.asarray(Image.open(folder / image["path"]))
        # Quadrants of 33x35 pixels, and the 32x32 in the middle of each.
        tiles = np.stack([pixels[y + 1 : y + 33, x : x + 32] for y in (0, 35) for x in (0, 33)])
        if corruption:
            tiles = np.stack([_through_jpeg(tile, folder) for tile in tiles])
        with torch.inference_mode():
            expected = detector.probability(as_input(tiles)).numpy()
        assert len(set(expected.tolist())) > 1
        assert rows["score"][image["digest"]] == pytest.approx(expected.mean(), abs=1e-6)
        assert rows["label"][image["digest"]] == (image["generator"] == "gan")
        assert rows["generator"][image["digest"]] == image["generator"]
    assert record.metrics == detection_metrics(rows["label"].to_numpy(np.int64), rows["score"].to_numpy())
    assert record.images == 24


def _through_jpeg(tile: np.ndarray, folder: Path) -> np.ndarray:
    Image.fromarray(tile).save(folder / "tile.jpg", quality=50, subsampling=2)
    return np.asarray(Image.open(folder / "tile.jpg"))


@pytest.mark.parametrize("parameters", [{"size": 32}, TILES], ids=["one square", "tiles"])
def test_an_image_that_two_real_sources_have_in_common_has_one_row(folder: Path, parameters: dict[str, Any]) -> None:
    place = place_of(folder, Preprocess.model_validate(parameters))
    alone, other, both = (scored(parameters, *reals) for reals in (["coco"], ["ffhq"], ["coco", "ffhq"]))
    run(place, alone, other, both)
    first, second, joined = (read_scores(place.folder(c.id) / SCORES_FILE) for c in (alone, other, both))
    assert joined["image"].is_unique
    assert joined["generator"].value_counts().to_dict() == {"coco": 3, "ffhq": 2, "gan": 3}
    shared = set(first["image"][first["label"] == 0]) & set(second["image"])
    assert set(joined["generator"][joined["image"].isin(shared)]) == {"coco"}
    known = {**second.set_index("image")["score"], **first.set_index("image")["score"]}
    assert joined["score"].tolist() == [known[image] for image in joined["image"]]
    images = place.reader(both).images(["coco", "ffhq", "gan"], Split.TEST)
    assert list(joined["image"]) == [square.split("/")[0] for square in images.ids[:: images.views]]


@pytest.mark.parametrize(
    "parameters",
    [
        TILES,
        {"size": 32, "patches": {"kind": "random", "count": 3}},
        {"size": 32, "patches": {"kind": "random", "count": 4, "top": 2}},
    ],
)
def test_predict_says_of_a_file_what_its_score_cell_says(folder: Path, parameters: dict[str, Any]) -> None:
    place = place_of(folder, Preprocess.model_validate(parameters))
    cell = scored(parameters, "coco", "ffhq")
    run(place, cell)
    scores = read_scores(place.folder(cell.id) / SCORES_FILE).set_index("image")["score"]
    (folder / "broken.png").write_bytes(b"not an image")
    predictions = predict_paths(place.folder(MODEL), [folder])
    found = {p.path: p.p_fake for p in predictions if p.usable}
    digests = {str(folder / row["path"]): row["digest"] for _, row in manifest_of(folder).frame.iterrows()}
    assert found.keys() == digests.keys()
    for path, p_fake in found.items():
        assert p_fake == pytest.approx(scores[digests[path]], abs=1e-6)
    assert [Path(p.path).name for p in predictions if not p.usable] == ["broken.png"]

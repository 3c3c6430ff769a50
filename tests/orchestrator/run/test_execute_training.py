"""The train stage, run for real: groups of generators, detectors that are solved, detectors that are fused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from orchestrator.images import StudyImages
from orchestrator.plan.cells import Cell, Stage
from orchestrator.plan.expand import expand
from orchestrator.plan.graph import Plan
from orchestrator.run.adapting import adaptation_data
from orchestrator.run.bench import class_count, labelled, names, source_of
from orchestrator.run.context import FEATURES
from orchestrator.run.driver import Run
from orchestrator.run.place import Place
from orchestrator.run.serial import run_serially
from orchestrator.store.ledger import Ledger
from orchestrator.store.records import Record, Status
from orchestrator.store.tables import SCORES_FILE, read_scores
from orchestrator.study.model import Study
from orchestrator.study.resources import StageResources
from tests.conftest import SMALL
from trainables.checkpoint import WEIGHTS, load_detector
from trainables.contract import Split
from trainables.detector import as_input
from trainables.score import score

BOTH = {"name": "both", "generators": ["tconv", "bilinear"]}
QUICK = {"epochs": 1, "batch": 8, "learning_rate": 1e-3}
TRAIN, VAL = SMALL[Split.TRAIN], SMALL[Split.VAL]


class Ran(NamedTuple):
    plan: Plan
    place: Place
    records: Mapping[str, Record]

    def cell(self, stage: Stage, **tags: str) -> Cell:
        (cell,) = (c for c in self.plan if c.stage is stage and all(getattr(c.tags, k) == v for k, v in tags.items()))
        return cell

    def folder(self, cell: Cell) -> Path:
        return self.place.folder(cell.id)


def run(storage: Path, images: Path, **given: Any) -> Ran:
    named = {"name": "small", "data": {"root": images}, "train_generators": [BOTH], "storage": storage}
    named["preprocess"] = {"size": 32, "fit": "crop"}
    study = Study.model_validate({**named, **given})
    found = StudyImages(study, storage / "indexes")
    found.manifest.save(storage / "manifest.parquet")
    place = Place(storage=storage, index=storage / "manifest.parquet", cache=storage / "cache")
    plan = expand(study, found.catalogue)
    run_serially(Run(plan, place, Ledger(storage), study.resources))
    records = Ledger(storage).records()
    assert [(r.name, r.failure) for r in records.values() if r.status is not Status.DONE] == []
    return Ran(plan, place, records)


@pytest.fixture(scope="module")
def grouped(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A small CNN and a solved detector, each trained on one generator and on two."""
    return run(
        tmp_path_factory.mktemp("grouped"),
        small_data,
        detectors=[{"kind": "residual_cnn", "width": 4, "recipe": QUICK}, "frozen"],
        train_generators=["tconv", BOTH],
        test_generators=["tconv", "nearest"],
        adaptations=[{"kind": "coral", "recipe": QUICK}],
    )


@pytest.fixture(scope="module")
def fused(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Three specialists and their fusion, adapted to a generator of neither kind."""
    return run(
        tmp_path_factory.mktemp("fused"),
        small_data,
        detectors=[{"kind": "dfx", "specialist": QUICK, "recipe": QUICK}],
        test_generators=["tconv", "nearest"],
        adaptations=[{"kind": "few_shot", "k": 2, "recipe": QUICK}],
    )


def test_a_group_is_trained_on_as_many_fakes_as_reals(grouped: Ran) -> None:
    cell = grouped.cell(Stage.TRAIN, detector="residual_cnn", source="both")
    for split, reals in ((Split.TRAIN, TRAIN), (Split.VAL, VAL)):
        images = labelled(cell, grouped.place.reader(cell), source_of(cell), split)
        names, counts = np.unique(images.generators, return_counts=True)
        found = dict(zip(names.tolist(), counts.tolist(), strict=True))
        assert (found.pop("tconv"), found.pop("bilinear")) == (reals // 2, reals // 2)
        assert sum(found.values()) == reals == (images.labels == 0).sum()
        everything = grouped.place.reader(cell).images(["tconv"], split).ids
        assert [name for name, of in zip(images.ids, images.generators, strict=True) if of == "tconv"] == sorted(
            everything
        )[: reals // 2]


def test_an_adaptation_of_a_group_has_its_source_images(grouped: Ran) -> None:
    cell = grouped.cell(Stage.ADAPT, detector="residual_cnn", source="both", target="nearest")
    train = grouped.cell(Stage.TRAIN, detector="residual_cnn", source="both")
    reader = grouped.place.reader(cell)
    data = adaptation_data(cell, reader, frozenset())
    assert data.source_train.ids == labelled(train, reader, source_of(train), Split.TRAIN).ids
    assert not set(data.target.ids) & set(data.source_train.ids)


def test_every_detector_of_a_group_is_scored_on_every_test_generator(grouped: Ran) -> None:
    tags = [cell.tags for cell in grouped.plan if cell.stage is Stage.SCORE and cell.tags.source == "both"]
    methods = ("source_only", "coral")
    expected = {(d, a, t) for d in ("residual_cnn", "frozen") for a in methods for t in ("tconv", "nearest")}
    assert {(each.detector, each.adaptation, each.test) for each in tags} == expected


def test_a_solved_detector_is_solved_and_its_features_are_kept_for_others(grouped: Ran) -> None:
    cell = grouped.cell(Stage.TRAIN, detector="frozen", source="tconv")
    record = grouped.records[cell.id]
    assert [row["epoch"] for row in record.curves] == [1.0]
    assert {"source_val_accuracy", "source_val_auroc", "source_val_loss"} <= record.metrics.keys()
    reals = len(names(cell, "reals"))
    fakes = {"train": 3, "val": 3, "test": 2}  # tconv, and half of it and of bilinear; tconv and nearest
    assert len(list((grouped.place.cache / FEATURES).glob("*.npy"))) == sum(reals + each for each in fakes.values())
    detector, _ = load_detector(grouped.folder(cell))
    images = grouped.place.reader(cell).images(source_of(cell), Split.TRAIN)
    assert ((score(detector, images.pixels) > 0.5) == images.labels).mean() > 0.9  # random weights are right by half


def test_scores_from_kept_features_are_those_of_the_images(grouped: Ran) -> None:
    for cell in (c for c in grouped.plan if c.stage is Stage.SCORE and c.tags.detector == "frozen"):
        kept = read_scores(grouped.folder(cell) / SCORES_FILE)
        detector, _ = load_detector(grouped.place.folder(cell.needs[0]))
        images = grouped.place.reader(cell).images([*names(cell, "reals"), str(cell.params["test"])], Split.TEST)
        assert kept["score"].to_numpy() == pytest.approx(score(detector, images.pixels), abs=1e-6)


@pytest.mark.parametrize(
    ("detector", "fixed"), [("residual_cnn", ("front.",)), ("frozen", ("front.", "body.")), ("dfx", ("front.",))]
)
def test_a_train_cell_counts_the_parameters_of_its_checkpoint(
    detector: str, fixed: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    ran: Ran = request.getfixturevalue("fused" if detector == "dfx" else "grouped")
    cell = ran.cell(Stage.TRAIN, detector=detector, source="both", variant="")
    buffers = ("scale", "shift", "_extra_state", "running_mean", "running_var", "num_batches_tracked")
    weights = load_file(ran.folder(cell) / WEIGHTS)
    sizes = {name: tensor.numel() for name, tensor in weights.items() if name.rpartition(".")[2] not in buffers}
    metrics = ran.records[cell.id].metrics
    assert metrics["parameters"] == sum(sizes.values())
    assert metrics["trained_parameters"] == sum(n for name, n in sizes.items() if not name.startswith(fixed))


def test_a_specialist_has_all_of_its_family_and_a_share_of_each_other(fused: Ran) -> None:
    for family, main in (("gan", ["tconv"]), ("dm", ["bilinear"]), ("real", None)):
        cell = fused.cell(Stage.TRAIN, variant=family)
        assert class_count(cell) == 2
        reader = fused.place.reader(cell)
        for split in (Split.TRAIN, Split.VAL):
            images = labelled(cell, reader, source_of(cell), split)
            own = main or [name for name in source_of(cell) if name not in ("tconv", "bilinear")]
            for name in source_of(cell):
                of = np.array(images.generators) == name
                whole = len(reader.images([name], split))
                assert of.sum() == (whole if name in own else 1)  # 4 % of 16 or fewer images, rounded up
                assert set(images.labels[of].tolist()) == {int((name in own) != (family == "real"))}


def test_the_networks_of_a_fusion_are_the_specialists_to_the_bit(fused: Ran) -> None:
    weights = load_file(fused.folder(fused.cell(Stage.TRAIN, variant="")) / WEIGHTS)
    for family in ("dm", "gan", "real"):
        own = load_file(fused.folder(fused.cell(Stage.TRAIN, variant=family)) / WEIGHTS)
        for name, tensor in own.items():
            part, _, rest = name.partition(".")
            if part in ("front", "body"):
                place = {"front": 0, "body": 1}[part]
                assert torch.equal(weights[f"front.networks.{family}.{place}.{rest}"], tensor)


def test_a_fusion_is_whole_without_its_specialists(fused: Ran, tmp_path: Path) -> None:
    cell = fused.cell(Stage.TRAIN, variant="")
    alone = tmp_path / "alone"
    alone.mkdir()
    for file in fused.folder(cell).iterdir():
        (alone / file.name).write_bytes(file.read_bytes())
    detector, card = load_detector(alone)
    assert (card["kind"], card["classes"]) == ("dfx", 3)
    scored = fused.cell(Stage.SCORE, adaptation="source_only", test="tconv")
    kept = read_scores(fused.folder(scored) / SCORES_FILE)
    images = fused.place.reader(scored).images([*scored.reads[0].reals, "tconv"], Split.TEST)
    expected = dict(zip(images.ids, score(detector, images.pixels), strict=True))
    assert kept["score"].to_numpy() == pytest.approx([expected[name] for name in kept["image"]], abs=1e-6)
    with torch.inference_mode():
        three = detector.eval()(as_input(images.pixels[:5])).softmax(dim=1)
    assert score(detector, images.pixels[:5], batch=2) == pytest.approx((three[:, 1] + three[:, 2]).numpy(), abs=1e-6)


def test_a_fusion_is_trained_on_three_classes_and_judged_on_two(fused: Ran) -> None:
    cell = fused.cell(Stage.TRAIN, variant="")
    images = labelled(cell, fused.place.reader(cell), source_of(cell), Split.TRAIN)
    assert class_count(cell) == 3
    assert {(name, int(label)) for name, label in zip(images.generators, images.labels, strict=True)} >= {
        ("bilinear", 1),
        ("tconv", 2),
    }
    held_out = labelled(cell, fused.place.reader(cell), source_of(cell), Split.VAL)
    detector, _ = load_detector(fused.folder(cell))
    with torch.inference_mode():
        three = detector.eval()(as_input(held_out.pixels[:])).softmax(dim=1).numpy()
    metrics = fused.records[cell.id].metrics
    assert metrics["source_val_class_accuracy"] == np.mean(three.argmax(axis=1) == held_out.labels)
    assert metrics["source_val_accuracy"] == np.mean((three[:, 0] < 0.5) == (held_out.labels > 0))


def test_an_adaptation_of_a_fusion_is_given_its_classes(fused: Ran) -> None:
    cell = fused.cell(Stage.ADAPT, target="nearest")
    data = adaptation_data(cell, fused.place.reader(cell), frozenset({"few"}))
    assert data.few is not None
    assert set(data.few.labels.tolist()) == {0, 2}  # nearest is a GAN's, as tconv
    assert set(data.source_train.labels.tolist()) == {0, 1, 2}


def test_a_stage_that_no_key_names_has_the_default_resources() -> None:
    resources = StageResources.model_validate({"default": {"cpus": 3}, "train": {"cpus": 2}})
    assert [resources.of(stage).cpus for stage in ("train", "adapt", "validate", "copy")] == [2, 3, 3, 3]

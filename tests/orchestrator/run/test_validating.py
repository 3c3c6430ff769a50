"""Studies of several rules, run for real: what is kept of the epochs, what each rule says, and what runs again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from orchestrator.images import StudyImages
from orchestrator.plan.cells import Cell, Stage, Tags
from orchestrator.plan.expand import expand
from orchestrator.plan.graph import Plan
from orchestrator.plan.jobs import jobs
from orchestrator.run.adapting import adaptation_data
from orchestrator.run.driver import Run
from orchestrator.run.place import Place
from orchestrator.run.serial import run_serially
from orchestrator.store.ledger import Ledger
from orchestrator.store.records import Record, Status
from orchestrator.store.tables import ROWS_FILE, SCORES_FILE, VALIDATIONS, read_rows, read_scores
from orchestrator.study.model import Study
from tests.orchestrator.run.made_up import Told
from trainables.contract import Split
from trainables.registry import find
from trainables.score import labels_by_image
from trainables.selection.trace import EPOCHS, ORACLE, TEST, THIRD, Trace

EPOCHS_TRAINED = 3


class Ran(NamedTuple):
    plan: Plan
    place: Place
    records: dict[str, Record]
    executed: list[str]

    def record(self, stage: Stage, adaptation: str) -> Record:
        """Of the one cell of this stage and adaptation, its clean score on the target where it has several."""
        (cell,) = (
            c
            for c in self.plan
            if c.stage is stage and c.tags.adaptation == adaptation and c.tags.test in ("", c.tags.target)
        )
        return self.records[cell.id]

    def rows(self, adaptation: str) -> pd.DataFrame:
        return read_rows(self.place.folder(self.record(Stage.VALIDATE, adaptation).cell) / ROWS_FILE)

    def trace(self, adaptation: str) -> Trace:
        return Trace.load(self.place.folder(self.record(Stage.ADAPT, adaptation).cell) / EPOCHS)


def run(storage: Path, images: Path, selection: Sequence[str], **changes: Any) -> Ran:
    """A study of one pair and a third generator, serially."""
    recipe = {"epochs": EPOCHS_TRAINED, "batch": 8}
    given = {
        "name": "small",
        "data": {"root": images},
        "detectors": [{"kind": "residual_cnn", "width": 4, "recipe": {"epochs": 2, "batch": 8}}],
        "train_generators": ["tconv"],
        "test_generators": ["bilinear"],
        "adaptations": [{"kind": "coral", "recipe": recipe}, "adabn"],
        "selection": list(selection),
        "storage": storage,
    }
    study = Study.model_validate(given | changes)
    found = StudyImages(study, storage / "indexes")
    index = storage / "manifest.parquet"
    if not index.exists():
        found.manifest.save(index)
    place = Place(storage=storage, index=index, cache=storage / "cache")
    plan, told = expand(study, found.catalogue), Told()
    doing = Run(plan, place, Ledger(storage), study.resources, listeners=[told])
    run_serially(doing)
    records = {cell: record for cell, record in Ledger(storage).records().items() if cell in plan.cells}
    assert [(r.name, r.failure) for r in records.values() if r.status is not Status.DONE] == []
    return Ran(plan, place, dict(records), [event[1] for event in told.events if event[0] == "finished"])


@pytest.fixture(scope="module")
def ran(small_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Ran]:
    """A study of two rules, and the same with a third."""
    storage = tmp_path_factory.mktemp("storage")
    first = run(storage, small_data, ["source_val", "im"])
    return first, run(storage, small_data, ["source_val", "im", "snd"])


def test_a_rule_that_is_named_later_trains_nothing(ran: tuple[Ran, Ran]) -> None:
    first, second = ran
    assert sorted({name.split("/")[0] for name in first.executed}) == ["adapt", "audit", "score", "train", "validate"]
    assert sorted(second.executed) == sorted(cell.name for cell in second.plan if cell.stage is Stage.VALIDATE)
    for adaptation in ("coral", "adabn"):
        before, after = (each.rows(adaptation) for each in ran)
        assert list(after.columns) == [*(c.name for c in VALIDATIONS), "im", "snd", "source_val"]
        assert after.drop(columns="snd").equals(before)
        assert after["snd"].notna().all()


def test_a_validation_rides_with_the_model_it_judges(ran: tuple[Ran, Ran]) -> None:
    plan = ran[0].plan
    riding = {cell.id: job for job in jobs(plan) for cell in job.cells}
    for cell in plan:
        if cell.stage is Stage.VALIDATE:
            assert riding[cell.id] is riding[cell.needs[0]]
            left = Plan(plan.study, {cell.id: cell})
            assert [job.cells for job in jobs(left)] == [(cell,)]


def test_the_rows_are_the_epochs_and_then_the_detector_as_it_was_handed_back(ran: tuple[Ran, Ran]) -> None:
    coral, adabn = (ran[0].rows(name) for name in ("coral", "adabn"))
    assert coral["epoch"].tolist() == [1, 2, 3, 4]
    assert coral["kept"].tolist() == [False] * 3 + [True]
    assert adabn["epoch"].tolist() == [1]  # it trains by no epoch
    assert adabn["kept"].tolist() == [True]
    chosen = int(ran[0].record(Stage.ADAPT, "coral").metrics["epoch"]) - 1
    figures = ["target_accuracy", "target_auroc", "im", "source_val"]
    assert coral[figures].iloc[-1].tolist() == coral[figures].iloc[chosen].tolist()
    assert coral["source_val"].tolist()[:-1] == [
        row["val_accuracy"] for row in ran[0].record(Stage.ADAPT, "coral").curves
    ]


@pytest.mark.parametrize("adaptation", ["coral", "adabn"])
def test_what_was_kept_is_what_the_score_cell_says_of_the_same_images(ran: tuple[Ran, Ran], adaptation: str) -> None:
    first = ran[0]
    scored = first.record(Stage.SCORE, adaptation)
    kept, trace = first.rows(adaptation).iloc[-1], first.trace(adaptation)
    assert kept["target_accuracy"] == scored.metrics["accuracy"]
    assert kept["target_auroc"] == pytest.approx(scored.metrics["auroc"])
    scores = read_scores(first.place.folder(scored.cell) / SCORES_FILE).set_index("image")["score"]
    odds = trace.log_odds[TEST][-1].astype(float)
    assert 1 / (1 + np.exp(-odds)) == pytest.approx(scores[list(trace.ids[TEST])].to_numpy(), abs=1e-5)


@pytest.mark.parametrize("adaptation", ["coral", "adabn"])
def test_the_metrics_are_what_the_rows_say(ran: tuple[Ran, Ran], adaptation: str) -> None:
    rows, metrics = ran[1].rows(adaptation), ran[1].record(Stage.VALIDATE, adaptation).metrics
    rules = ["im", "snd", "source_val"]
    assert set(metrics) == {"accuracy/kept", *(f"{of}{rule}" for rule in rules for of in ("", "chosen/", "accuracy/"))}
    assert metrics["accuracy/kept"] == rows["target_accuracy"].iloc[-1]
    offered = rows[~rows["kept"]] if len(rows) > 1 else rows
    for rule in rules:
        best = offered[offered[rule] == offered[rule].max()].iloc[-1]
        assert metrics[rule] == rows[rule].iloc[-1]
        assert (metrics[f"chosen/{rule}"], metrics[f"accuracy/{rule}"]) == (best["epoch"], best["target_accuracy"])


def test_the_trace_holds_no_label_and_lies_beside_the_weights(ran: tuple[Ran, Ran]) -> None:
    record = ran[0].record(Stage.ADAPT, "coral")
    assert EPOCHS in record.files
    trace = ran[0].trace("coral")
    assert set(trace.ids) == {"source", "target", ORACLE, TEST}  # the study has no third generator
    assert {len(odds) for odds in trace.log_odds.values()} == {EPOCHS_TRAINED + 1}
    content = (ran[0].place.folder(record.cell) / EPOCHS).read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    kinds = {name.split("/")[0] for name in header} - {"__metadata__"}
    assert kinds == {"log_odds", "features"}


def test_a_rule_that_is_undefined_tells_no_figure_and_chooses_nothing(ran: tuple[Ran, Ran], small_data: Path) -> None:
    again = run(ran[0].place.storage, small_data, ["source_val", "leave_one_out"])
    metrics = again.record(Stage.VALIDATE, "coral").metrics
    assert again.rows("coral")["leave_one_out"].isna().all()
    assert set(metrics) == {"accuracy/kept", "source_val", "chosen/source_val", "accuracy/source_val"}


def test_the_first_rule_chooses_online_what_the_validation_says_it_would(small_data: Path, tmp_path: Path) -> None:
    three = ["bilinear", "nearest"]
    recipe = {"epochs": EPOCHS_TRAINED, "batch": 8}
    coral = [{"kind": "coral", "recipe": recipe}]
    for rule in ("oracle", "leave_one_out"):
        found = run(tmp_path, small_data, [rule, "source_val"], test_generators=three, adaptations=coral)
        adapted = [c for c in found.plan if c.stage is Stage.ADAPT]
        assert len(adapted) == 2
        for cell in adapted:
            record = found.records[cell.id]
            (validation,) = (c for c in found.plan if c.stage is Stage.VALIDATE and c.needs == (cell.id,))
            metrics = found.records[validation.id].metrics
            rows = read_rows(found.place.folder(validation.id) / ROWS_FILE)
            assert [row[rule] for row in record.curves] == rows[rule].tolist()[:-1]
            assert record.metrics["epoch"] == metrics[f"chosen/{rule}"]
            assert metrics[rule] == max(row[rule] for row in record.curves)
            (third,) = {*three} - {cell.tags.target}
            assert f"{THIRD}{third}" in Trace.load(found.place.folder(cell.id) / EPOCHS).ids


def test_a_step_of_a_sequence_reads_the_train_images_of_all_generators_so_far(ran: tuple[Ran, Ran]) -> None:
    place = ran[0].place
    step = Cell(
        stage=Stage.ADAPT,
        method="replay",
        params={
            "image": {},
            "source": "tconv",
            "target": "latent8",
            "train_reals": ["compact"],
            "test_reals": ["compact"],
            "earlier": {"tconv": ["compact"], "bilinear": ["reflex", "compact"]},
        },
        tags=Tags(detector="d", source="tconv", target="latent8", adaptation="replay", seed=0, sequence="s"),
    )
    reader = place.reader(step)
    data = adaptation_data(step, reader, find("adaptations", "replay").traits)
    against = {"tconv": ["compact"], "bilinear": ["reflex", "compact"], "latent8": ["compact"]}
    read = {name: reader.images([*reals, name], Split.TRAIN) for name, reals in against.items()}
    assert [list(images.ids) for images in data.earlier] == [list(read[name].ids) for name in ("tconv", "bilinear")]
    assert labels_by_image(data.earlier[1]) == labels_by_image(read["bilinear"])
    assert data.oracle_train is not None
    assert data.oracle_val is not None
    assert list(data.oracle_train.ids) == list(read["latent8"].ids)
    assert set(data.oracle_val.ids) == set(reader.images(["compact", "latent8"], Split.VAL).ids)
    assert set(data.target.ids) == set(read["latent8"].ids)
    assert list(data.source_train.ids) == list(read["tconv"].ids)
    grid = replace(step, method="coral", params={**step.params, "target": "bilinear"})
    plain = adaptation_data(grid, reader, find("adaptations", "coral").traits)
    assert (plain.earlier, plain.oracle_train, plain.oracle_val) == ((), None, None)
    assert set(plain.target.ids) == set(reader.images(["compact", "bilinear"], Split.ADAPT).ids)

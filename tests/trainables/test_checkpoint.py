from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.trainables.toy import toy_detector
from trainables.checkpoint import CARD, WEIGHTS, load_detector, load_state, save_detector, save_state
from trainables.context import STATE, LocalContext
from trainables.contract import Images
from trainables.data.preprocess import Preprocess
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.registry import find
from trainables.score import score


def _card(kind: str = "residual_cnn") -> dict[str, Any]:
    config = find("detectors", kind).config().model_dump(mode="json")
    return {"kind": kind, "config": config, "image": {"size": 32}, "data": "d1", "cell": "c1", "tags": {"seed": 0}}


def _edit(folder: Path, **changes: object) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, **changes}))


def test_a_detector_comes_back_with_its_scores_and_its_calibration(
    trained: Detector, source_val: Images, tmp_path: Path
) -> None:
    trained.shift += 0.7
    save_detector(tmp_path / "cell", trained, _card())
    loaded, card = load_detector(tmp_path / "cell")
    assert np.array_equal(score(loaded, source_val.pixels), score(trained, source_val.pixels))
    assert loaded.shift.item() == pytest.approx(0.7)
    assert not loaded.training
    assert (card["kind"], card["classes"], card["data"], card["cell"]) == ("residual_cnn", 2, "d1", "c1")
    assert Preprocess.model_validate(card["image"]) == Preprocess(size=32)
    assert sorted(path.name for path in (tmp_path / "cell").iterdir()) == [CARD, WEIGHTS]


def test_a_detector_of_three_classes_and_another_width_comes_back(tmp_path: Path) -> None:
    detector = toy_detector(width=4, classes=3)
    save_detector(tmp_path, detector, {**_card(), "config": {**_card()["config"], "width": 4}})
    loaded, _ = load_detector(tmp_path)
    assert (loaded.classes, loaded.feature_dim) == (3, 16)


def test_a_detector_that_started_from_a_file_loads_without_that_file(tmp_path: Path) -> None:
    config = {**_card("backbone")["config"], "weights": "/nowhere/resnet18.safetensors"}
    save_detector(tmp_path, toy_detector("backbone"), {**_card("backbone"), "config": config})
    _, card = load_detector(tmp_path)
    assert card["config"]["weights"] == "/nowhere/resnet18.safetensors"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "backbone"}, "does not describe a backbone"),
        ({"kind": "backbones"}, "'backbone'"),
        ({"format": 2}, "format"),
        ({"classes": 3}, "do not fit"),
        ({"extra": 1}, "extra"),
        ({"kind": "scores", "config": {"file": "scores.csv"}}, "nothing of this detector but its scores"),
    ],
)
def test_a_card_that_describes_something_else_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    save_detector(tmp_path, toy_detector(), _card())
    _edit(tmp_path, **changes)
    with pytest.raises(InputError, match=message):
        load_detector(tmp_path)


def test_weights_of_another_detector_are_refused(tmp_path: Path) -> None:
    save_detector(tmp_path / "a", toy_detector(seed=0), _card())
    save_detector(tmp_path / "b", toy_detector(seed=1), _card())
    (tmp_path / "b" / WEIGHTS).replace(tmp_path / "a" / WEIGHTS)
    with pytest.raises(InputError, match="not the weights"):
        load_detector(tmp_path / "a")


def test_files_that_are_cut_off_or_hold_something_else_are_refused(tmp_path: Path) -> None:
    save_detector(tmp_path, toy_detector(), _card())
    (tmp_path / WEIGHTS).write_bytes(b"<html>")
    with pytest.raises(InputError, match="not the weights"):
        load_detector(tmp_path)
    _edit(tmp_path, weights=hashlib.sha256(b"<html>").hexdigest())
    with pytest.raises(InputError, match="not a file of weights"):
        load_detector(tmp_path)
    (tmp_path / CARD).write_text("{")
    with pytest.raises(InputError, match="not a detector's card: Invalid JSON"):
        load_detector(tmp_path)


def test_an_empty_folder_is_no_detector(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no detector"):
        load_detector(tmp_path)


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    shared = torch.arange(6.0).reshape(2, 3)
    tree = {
        "tensors": [shared, shared.T, torch.tensor(3), torch.zeros(0, dtype=torch.uint8)],
        "optimiser": {"state": {0: {"step": torch.tensor(2.0)}}, "betas": (0.9, 0.999), "fused": None, "on": True},
        "curves": [{"loss": 0.1 + 0.2, "epoch": 1}],
        "text": "naïve",
    }
    save_state(tmp_path / "state", tree)
    found = load_state(tmp_path / "state")
    for before, after in zip(tree["tensors"], found["tensors"], strict=True):
        assert torch.equal(before, after)
        assert before.dtype == after.dtype
    assert found["optimiser"]["state"][0]["step"] == 2
    assert {**found["optimiser"], "state": None} == {**tree["optimiser"], "state": None}
    assert (found["curves"], found["text"]) == (tree["curves"], tree["text"])


def test_what_is_no_state_is_refused(tmp_path: Path) -> None:
    assert load_state(tmp_path / "absent") is None
    (tmp_path / "torn").write_bytes(b"\x10")
    save_file({"x": torch.zeros(1)}, tmp_path / "other")
    for name in ("torn", "other"):
        with pytest.raises(InputError, match="not the state"):
            load_state(tmp_path / name)
    with pytest.raises(TypeError, match="set"):
        save_state(tmp_path / "state", {"x": {1, 2}})


def test_a_context_keeps_the_latest_state_and_passes_reports_on(tmp_path: Path) -> None:
    rows: list[Any] = []
    context = LocalContext(folder=tmp_path / "cell", on_report=rows.append)
    assert context.load_state() is None
    for epoch in (1, 2):
        context.save_state({"epoch": epoch})
    context.report({"epoch": 2.0})
    assert LocalContext(folder=tmp_path / "cell").load_state() == {"epoch": 2}
    assert rows == [{"epoch": 2.0}]


def test_saved_weights_are_plain_safetensors(tmp_path: Path) -> None:
    detector = toy_detector()
    save_detector(tmp_path, detector, _card())
    assert set(load_file(tmp_path / WEIGHTS)) == set(detector.state_dict())


def test_a_state_that_an_earlier_version_left_is_passed_over(tmp_path: Path) -> None:
    save_state(tmp_path / STATE, {"model": {}, "curves": []})
    assert LocalContext(folder=tmp_path).load_state() is None


def test_a_wrong_parameter_of_a_card_is_told_in_one_line(tmp_path: Path) -> None:
    save_detector(tmp_path, toy_detector(), _card())
    _edit(tmp_path, config={**_card()["config"], "width": "wide", "depth": -1})
    with pytest.raises(InputError, match="does not describe a residual_cnn: `width`: ") as caught:
        load_detector(tmp_path)
    assert "\n" not in caught.value.problem
    assert caught.value.where == str(tmp_path / CARD)

"""How a fit computes: in parts, in a lower precision, with weights laid out as images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.trainables.toy import QUICK, context, toy_detector, toy_images
from trainables.checkpoint import load_detector, save_detector
from trainables.context import LocalContext
from trainables.contract import Images, Precision
from trainables.data.preprocess import Preprocess
from trainables.detector import Detector, as_input
from trainables.fit import Fitted, fit
from trainables.metrics import detection_metrics
from trainables.objective import SUPERVISED
from trainables.saving import Saving
from trainables.score import score

RECIPE = QUICK.model_copy(update={"epochs": 3})


class KilledError(RuntimeError):
    pass


def trained_in(precision: Precision, source: Images, source_val: Images, folder: Path) -> tuple[Detector, Fitted]:
    """A detector after a few epochs in a precision."""
    detector = toy_detector()
    run = LocalContext(folder=folder, precision=precision)
    return detector, fit(detector, SUPERVISED, RECIPE, source, source_val, run)


def test_in_bf16_figures_are_those_of_fp32_within_tolerance(source: Images, source_val: Images, tmp_path: Path) -> None:
    test = toy_images(100, seed=9)
    whole, curves = trained_in("fp32", source, source_val, tmp_path / "fp32")
    reduced, of_reduced = trained_in("bf16", source, source_val, tmp_path / "bf16")
    for row, other in zip(curves.curves, of_reduced.curves, strict=True):
        assert other["loss"] == pytest.approx(row["loss"], rel=0.05)
        assert other["val_loss"] == pytest.approx(row["val_loss"], rel=0.1, abs=0.02)
    scores = [score(detector, test.pixels) for detector in (whole, reduced)]
    assert abs(scores[0] - scores[1]).max() < 0.1
    assert abs(scores[0] - scores[1]).max() > 0
    figures = [detection_metrics(test.labels, found)["accuracy"] for found in scores]
    assert figures[1] == pytest.approx(figures[0], abs=0.02)


def test_half_precision_trains_with_scaled_losses_and_goes_on_to_the_same_last_bit(
    source: Images, source_val: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Saving, "SHARE", math.inf)
    few = source.take(torch.arange(32).numpy())

    def run(folder: Path, on_report: Any = None) -> dict[str, torch.Tensor]:
        detector = toy_detector()
        local = LocalContext(folder=folder, on_report=on_report, precision="fp16")
        fit(detector, SUPERVISED, QUICK, few, source_val, local)
        return detector.state_dict()

    def kill(_: Mapping[str, float]) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        run(tmp_path / "killed", kill)
    resumed, whole = run(tmp_path / "killed"), run(tmp_path / "whole")
    assert all(torch.equal(value, whole[name]) for name, value in resumed.items())
    plain = toy_detector()
    fit(plain, SUPERVISED, QUICK, few, source_val, context(tmp_path / "plain"))
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(whole[name].float(), value.float(), rtol=0.05, atol=0.01)


def test_only_the_body_is_in_the_lower_precision() -> None:
    detector = toy_detector().eval()
    detector.precision = "bf16"
    seen: dict[str, torch.dtype] = {}
    for name in ("front", "body", "head"):
        part = getattr(detector, name)
        part.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out.dtype}))
    batch = as_input(toy_images(4, seed=0).pixels[:])
    logits = detector(batch)
    assert seen == {"front": torch.float32, "body": torch.bfloat16, "head": torch.float32}
    assert detector.features(batch).dtype == logits.dtype == torch.float32
    detector.precision = "fp32"
    assert not torch.equal(detector(batch), logits)
    torch.testing.assert_close(detector(batch), logits, rtol=0.05, atol=0.02)


def test_a_detector_keeps_the_precision_it_was_trained_in(source: Images, source_val: Images, tmp_path: Path) -> None:
    detector, _ = trained_in("bf16", source, source_val, tmp_path / "run")
    card = {"kind": "residual_cnn", "config": {}, "image": Preprocess()}
    save_detector(tmp_path / "saved", detector, card)
    loaded, written = load_detector(tmp_path / "saved")
    assert detector.precision == loaded.precision == written["precision"] == "bf16"
    pixels = source_val.pixels[:20]
    assert (score(detector, pixels) == score(loaded, pixels)).all()
    fit(loaded, SUPERVISED, QUICK, source, source_val, context(tmp_path / "adapted"))
    assert loaded.precision == "fp32"


def test_weights_laid_out_as_images_give_the_same_fit_also_after_it_was_killed(
    source: Images, source_val: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Saving, "SHARE", math.inf)

    def run(folder: Path, channels_last: bool = True, on_report: Any = None) -> dict[str, torch.Tensor]:
        detector = toy_detector()
        local = LocalContext(folder=folder, on_report=on_report, channels_last=channels_last)
        fit(detector, SUPERVISED, QUICK, source, source_val, local)
        return detector.state_dict()

    def kill(_: Mapping[str, float]) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        run(tmp_path / "killed", on_report=kill)
    resumed, whole = run(tmp_path / "killed"), run(tmp_path / "whole")
    assert all(torch.equal(value, whole[name]) for name, value in resumed.items())
    convolution = next(value for value in whole.values() if value.ndim == 4 and value.shape[1] > 1)
    assert convolution.is_contiguous(memory_format=torch.channels_last)
    for name, value in run(tmp_path / "plain", channels_last=False).items():
        torch.testing.assert_close(whole[name], value, rtol=1e-3, atol=1e-4)

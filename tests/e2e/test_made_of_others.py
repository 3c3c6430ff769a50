"""Detectors that are made of trained ones: fused from specialists, and built on weights that were trained here."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch
from pandas.testing import assert_frame_equal
from safetensors.torch import load_file
from torch import Tensor

from orchestrator.campaign import Campaign
from tests.e2e.conftest import results
from tests.e2e.processes import ledger, run
from tests.orchestrator.cli.conftest import write_study
from trainables.checkpoint import WEIGHTS

pytestmark = pytest.mark.slow

QUICK = {"epochs": 1, "batch": 8}
SMALL = {"preprocess": {"size": 32, "fit": "crop"}, "adaptations": [], "test_generators": ["nearest"]}
FUSIONS = {
    **SMALL,
    "name": "fusions",
    "detectors": [
        {"kind": "dfx", "name": "once", "specialist": QUICK, "recipe": QUICK},
        {"kind": "dfx", "name": "twice", "specialist": QUICK, "recipe": {**QUICK, "epochs": 2}},
    ],
    "train_generators": [{"generators": ["tconv", "bilinear"], "name": "both"}],
    "splits": {"train": 0.3, "val": 0.1, "adapt": 0.2, "few": 0, "fusion": 0.2, "test": 0.2},
    "resources": {"default": {"cpus": 0.5}},  # two CPUs train three specialists at once
}
FAMILIES = ("dm", "gan", "real")
START = {**SMALL, "name": "start", "detectors": [{"kind": "resnet18", "recipe": QUICK}]}
ON_WEIGHTS = ("rine", "lora_backbone", "frozen")


def tensors(file: Path, cell: str) -> dict[str, Tensor]:
    """The tensors of a trained cell by name."""
    return load_file(model(file, cell))


def model(file: Path, cell: str) -> Path:
    """The file of a trained cell's weights."""
    campaign = Campaign.open(file)
    return campaign.place().artifacts.folder(ledger(campaign.storage)[cell].cell) / WEIGHTS


def test_two_fusions_share_the_specialists_that_several_processes_train(tmp_path_factory, small_data):
    on_ray, alone = (
        write_study(tmp_path_factory.mktemp(executor), small_data, **FUSIONS) for executor in ("ray", "serial")
    )
    assert [run(on_ray)[::2], run(alone, "--executor", "serial")[::2]] == [(0, "")] * 2

    records = ledger(Campaign.open(on_ray).storage)
    specialists = [f"train/once/both/seed0/{family}" for family in FAMILIES]
    fusions = [f"train/{name}/both/seed0" for name in ("once", "twice")]
    assert {name for name in records if name.startswith("train/")} == {*specialists, *fusions}
    assert len({records[name].process for name in specialists}) > 1
    for fusion in fusions:
        whole = tensors(on_ray, fusion)
        for family, specialist in zip(FAMILIES, specialists, strict=True):
            part = tensors(on_ray, specialist)
            networks = {name for name in part if name.startswith(("front.", "body."))}
            assert networks
            for name in networks:
                place = name.replace("front", "0", 1) if name.startswith("front") else name.replace("body", "1", 1)
                assert torch.equal(whole[f"front.networks.{family}.{place}"], part[name])
    assert_frame_equal(results(on_ray), results(alone), check_exact=True)


def test_detectors_stand_on_the_weights_of_one_that_was_trained_here_wherever_its_file_lies(tmp_path, small_data):
    (tmp_path / "start").mkdir()
    start = write_study(tmp_path / "start", small_data, **START)
    assert run(start, "--executor", "serial")[::2] == (0, "")
    weights = model(start, "train/resnet18/tconv/seed0")

    def on(weights: Path) -> Path:
        chosen = [{"kind": kind, "weights": str(weights)} for kind in ON_WEIGHTS]
        trained = [each if each["kind"] == "frozen" else {**each, "recipe": QUICK} for each in chosen]
        return write_study(tmp_path, small_data, **{**SMALL, "name": "on", "detectors": trained})

    file = on(weights)
    assert run(file)[::2] == (0, "")

    expected = {name: tensor for name, tensor in load_file(weights).items() if name.startswith("body.")}
    for kind in ON_WEIGHTS:
        found = {
            _without_additions(name): tensor for name, tensor in tensors(file, f"train/{kind}/tconv/seed0").items()
        }
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())

    shutil.copy(weights, tmp_path / "moved.safetensors")
    code, printed, _ = run(on(tmp_path / "moved.safetensors"))
    assert code == 0
    assert "0 cells run" in printed


def _without_additions(name: str) -> str:
    """A tensor's name in the network itself, of one to which corrections or layers above were added."""
    return re.sub(r"^body\.0\.body\.", "body.", re.sub(r"\.parametrizations\.(\w+)\.original$", r".\1", name))

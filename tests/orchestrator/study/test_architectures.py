"""A network's name is a detector's name."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from orchestrator.study.load import dump_study
from orchestrator.study.model import Study
from orchestrator.study.rooms import DetectorChoice


def _study(*detectors):
    values = {"name": "s", "data": {"root": "x"}, "detectors": detectors, "train_generators": ["g"]}
    return Study.model_validate(values)


def test_both_spellings_are_one_detector():
    short = DetectorChoice.model_validate({"kind": "resnet50", "trainable": "last:2", "head": "mlp"})
    long = DetectorChoice.model_validate(
        {"kind": "backbone", "architecture": "resnet50", "trainable": "last:2", "head": "mlp"}
    )
    assert short == long
    assert (short.kind, short.name, short.version) == ("backbone", "resnet50", long.version)
    assert short.parameters == long.parameters


def test_a_study_names_networks_beside_detectors_and_its_file_gives_it_back():
    study = _study(
        "resnet50", {"kind": "resnet50", "name": "head", "trainable": "head"}, "residual_cnn", "timm/test_vit"
    )
    assert [choice.name for choice in study.detectors] == ["resnet50", "head", "residual_cnn", "timm-test_vit"]
    assert "architecture: resnet50" in dump_study(study)
    assert Study.model_validate(study.model_dump(mode="json")) == study


def test_one_network_twice_needs_a_name():
    with pytest.raises(ValidationError, match="two have this name"):
        _study("resnet50", {"kind": "resnet50", "trainable": "head"})


@pytest.mark.parametrize(
    ("detector", "told"),
    [
        ("resnt50", "'resnet50'"),
        ("residualcnn", "'residual_cnn'"),
        ("timm/convnext_tinny", "'timm/convnext_tiny'"),
        ({"kind": "resnet50", "architecture": "resnet18"}, "names the network already"),
        ({"kind": "resnet50", "trainable": "last:9"}, "5 blocks before its head"),
    ],
)
def test_mistakes_are_told(detector, told):
    with pytest.raises(ValidationError, match=told):
        _study(detector)

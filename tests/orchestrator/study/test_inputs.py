from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.study.inputs import content_name, input_files, parameters, placed
from orchestrator.study.load import dump_study
from orchestrator.study.model import Study
from trainables.detectors.backbone import Config
from trainables.errors import InputError


def weights(folder: Path, content: bytes = b"some weights", name: str = "w.safetensors") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_bytes(content)
    return path


def test_one_content_has_one_name_wherever_it_lies(tmp_path):
    here, there = weights(tmp_path / "a"), weights(tmp_path / "b", name="other.safetensors")
    assert parameters(Config(weights=here)) == parameters(Config(weights=there))
    assert parameters(Config(weights=here)) != parameters(Config(weights=weights(tmp_path / "c", b"others")))
    assert str(tmp_path) not in str(parameters(Config(weights=here)))


def test_a_replaced_file_has_another_name(tmp_path):
    before = content_name(weights(tmp_path), "weights")
    assert content_name(weights(tmp_path, b"longer than before"), "weights") != before


def test_a_worker_finds_the_content_in_its_folder(tmp_path):
    path = weights(tmp_path)
    kept = placed(parameters(Config(weights=path)), tmp_path / "inputs")
    assert kept["weights"] == str(tmp_path / "inputs" / content_name(path, "weights"))
    assert placed({"weights": None, "width": 3}, tmp_path) == {"weights": None, "width": 3}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="nothing is downloaded") as caught:
        parameters(Config(weights=tmp_path / "absent.pt"))
    assert "leave the key out" not in str(caught.value.fix)
    assert (caught.value.where, caught.value.value) == ("weights", str(tmp_path / "absent.pt"))


def test_the_study_itself_keeps_the_path(tmp_path):
    path = weights(tmp_path)
    detector = {"kind": "resnet18", "weights": str(path)}
    values = {"name": "s", "data": {"root": "x"}, "detectors": [detector], "train_generators": ["g"]}
    study = Study.model_validate(values)
    assert str(path) in dump_study(study)
    assert list(input_files(study.detectors[0].config)) == [("weights", path)]

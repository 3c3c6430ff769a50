"""A small valid study, as text, that tests change in one place."""

from __future__ import annotations

import pytest
import yaml

from orchestrator.study.load import load_study
from trainables.errors import InputError

STUDY = {
    "name": "small",
    "data": {"root": "images"},
    "detectors": ["residual_cnn"],
    "train_generators": ["tconv", "nearest"],
    "adaptations": ["recalibrate", {"kind": "dann", "weight": 0.5}],
}


@pytest.fixture
def write(tmp_path):
    """Writes a study's file: text as it is, or keys put over those of the small study (None: left out)."""

    def write(text=None, **changes):
        file = tmp_path / "study.yaml"
        values = {key: value for key, value in {**STUDY, **changes}.items() if value is not None}
        file.write_text(yaml.safe_dump(values, sort_keys=False) if text is None else text)
        return file

    return write


@pytest.fixture
def refusal(write):
    """The message with which a changed study is refused."""

    def refusal(text=None, **changes):
        file = write(text, **changes)
        with pytest.raises(InputError) as caught:
            load_study(file)
        assert file.name in str(caught.value)
        return str(caught.value)

    return refusal

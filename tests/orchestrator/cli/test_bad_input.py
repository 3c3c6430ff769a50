"""Whatever is wrong with a study: exit code 2, one clear message, no traceback, nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.orchestrator.cli.conftest import call

BAD = {
    "unknown key": ({"detecters": []}, ["study.yaml:", "detecters: unknown key", "'detectors'"]),
    "unknown detector": ({"detectors": ["residual_cn"]}, ["detectors.0", "'residual_cn'", "'residual_cnn'"]),
    "unknown adaptation": ({"adaptations": ["dannn"]}, ["adaptations.0", "'dannn'", "'dann'"]),
    "unknown train generator": ({"train_generators": ["tcnv"]}, ["train_generators", "'tcnv'", "'tconv'"]),
    "unknown test generator": ({"test_generators": ["biliner"]}, ["test_generators", "'biliner'", "'bilinear'"]),
    "unknown real source": ({"test_reals": ["compct"]}, ["test_reals", "'compact'"]),
    "no workers": ({"resources": {"default": {"workers": 0}}}, ["resources.default.workers", "greater than 0", "0"]),
    "two of one name": ({"detectors": [{"kind": "residual_cnn", "width": w} for w in (4, 6)]}, ["detectors.1.name"]),
    "seed twice": ({"seeds": [1, 1]}, ["seeds.1", "listed twice"]),
    "negative budget": ({"attacks": [{"kind": "pgd", "epsilons": [-1]}]}, ["attacks.0.epsilons.0", "-1"]),
    "weights missing": (
        {"detectors": [{"kind": "resnet18", "weights": "w.safetensors"}]},
        ["detectors.0.weights", "no such file", "w.safetensors"],
    ),
    "no images": ({"data": {"root": "nowhere"}}, ["data", "nowhere"]),
    "storage on s3": ({"storage": "s3://bucket/results"}, ["storage", "s3://bucket/results"]),
    "storage in a file": ({"storage": "study.yaml/results"}, ["storage", "study.yaml"]),
    "tracking in a folder": ({"tracking": {"uri": "mlruns"}}, ["tracking.uri", "'mlruns'", "sqlite:///"]),
}


def tree(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, but for the index of the images that were looked at."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.parent.name != "indexes"}


def refused(folder: Path, *words: object) -> str:
    """What is said on standard error when a command is refused, after making sure that it is refused properly."""
    before = tree(folder)
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    said = [line for line in result.stderr.splitlines() if not line.startswith("reading images: ")]
    assert said[0].startswith("error: ")
    assert "Traceback" not in result.stderr
    assert tree(folder) == before
    return result.stderr


@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize(("changes", "words"), BAD.values(), ids=BAD)
def test_a_study_with_a_mistake_is_refused(study, tmp_path, images, verb, changes, words):
    if "data" in changes:
        changes = {"data": {k: str(images) if v == "{images}" else v for k, v in changes["data"].items()}}

    message = refused(tmp_path, verb, study(**changes))

    for word in words:
        assert word in message


@pytest.mark.parametrize("verb", ["check", "plan", "run", "status", "report", "ui"])
def test_a_file_that_is_not_there_or_no_yaml_is_refused_by_every_verb(tmp_path, verb):
    (tmp_path / "study.yaml").write_text("name: [x\n")

    assert "no such file" in refused(tmp_path, verb, tmp_path / "studi.yaml")
    assert "study.yaml:2:1: the file is not valid YAML" in refused(tmp_path, verb, tmp_path / "study.yaml")


def test_nothing_to_browse_and_a_taken_port_are_told(study, tmp_path, finished):
    import socket

    assert "nothing is logged to MLflow yet" in refused(tmp_path, "ui", study())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "port" in refused(tmp_path, "ui", finished[0], "--port", taken.getsockname()[1])


def test_a_tracking_server_is_its_own_page(study):
    result = call("ui", study(tracking={"uri": "http://tracking.example:5000"}))

    assert result.exit_code == 0
    assert result.stdout == "MLflow: http://tracking.example:5000\n"

"""Scores of a detector from elsewhere, beside one that is trained here: through the command line, on real images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from orchestrator.campaign import Campaign
from orchestrator.study.load import load_study
from tests.orchestrator.cli.conftest import STUDY, call, write_study
from tests.orchestrator.cli.test_bad_input import refused
from trainables.metrics import detection_metrics

VENDOR = {"kind": "scores", "name": "vendor", "file": "scores.csv", "scale": "logit"}
BOTH = [*STUDY["detectors"], VENDOR]


def truth(images: Path) -> pd.DataFrame:
    """The truth plus noise: a logit for every image, by its path."""
    rng = np.random.default_rng(0)
    paths = sorted(path.relative_to(images).as_posix() for path in images.glob("*/*/*"))
    fake = np.array([path.startswith("fake/") for path in paths])
    return pd.DataFrame({"image": paths, "score": rng.normal(2.0 * fake - 1.0), "fake": fake})


@pytest.fixture(scope="module")
def ran(tmp_path_factory, images):
    """The study after a run, and what its table says."""
    folder = tmp_path_factory.mktemp("outside")
    table = truth(images)
    table.to_csv(folder / "scores.csv", index=False)
    file = write_study(folder, images, detectors=BOTH, corruptions=["jpeg"], seeds=[0, 1])
    result = call("run", file, "--executor", "serial")
    assert result.exit_code == 0, result.output
    return file, table


def test_its_figures_are_those_of_the_table(ran):
    file, table = ran
    rows = Campaign.open(file).results()
    ours = rows[rows["detector"] == "vendor"].set_index("test")
    assert sorted(ours.index) == ["bilinear", "tconv"]
    for test in ours.index:
        tested = table[table["image"].str.match(rf"(real/.*|fake/{test})/test-")]
        assert tested["fake"].mean() + 0.25 > 0.5
        expected = detection_metrics(
            tested["fake"].to_numpy(np.int64), (1 / (1 + np.exp(-tested["score"]))).to_numpy(np.float32)
        )
        assert {name: ours[name][test] for name in expected} == pytest.approx(expected)


def test_it_has_a_part_of_the_report_of_its_own_and_takes_none_of_the_others(ran):
    report = Campaign.open(ran[0]).report_page.parent
    summary = pd.read_csv(report / "summary.csv")
    planned = summary.groupby("detector")["pairs_planned"].unique().map(list).to_dict()
    assert planned == {"residual_cnn": [1], "vendor": [2]}
    (ours,) = summary[summary["detector"] == "vendor"].to_dict("records")
    assert (ours["adaptation"], ours["worst_source"], ours["pairs"]) == ("source_only", "outside", 2)
    assert np.isnan(ours["in_dataset"])
    matrix = pd.read_csv(report / "matrix_vendor_source_only_auroc.csv")
    assert list(matrix["train_generator"]) == ["outside"]
    assert matrix[["tconv", "bilinear"]].notna().all(axis=None)
    assert not list(report.glob("matrix_vendor_recalibrate*"))
    assert list(pd.read_csv(report / "matrix_residual_cnn_source_only_auroc.csv")["train_generator"]) == ["tconv"]
    for name in ("corruptions", "gains"):
        assert "vendor" not in set(pd.read_csv(report / f"{name}.csv")["detector"])
    assert "of all generators&#39; test images" in (report / "report.html").read_text()


def test_alone_it_is_evaluated_without_a_train_generator(ran, images, tmp_path):
    file, table = ran
    table.to_csv(tmp_path / "scores.csv", index=False)
    alone = write_study(tmp_path, images, detectors=[VENDOR], train_generators=None, adaptations=None)
    result = call("run", alone, "--executor", "serial")
    assert result.exit_code == 0, result.output
    campaign = Campaign.open(alone)
    assert load_study(campaign.folder / "study.yaml") == campaign.study
    rows, beside = campaign.results(), Campaign.open(file).results()
    same = ["detector", "source", "test", "cell", "auroc"]
    pd.testing.assert_frame_equal(rows[same], beside.loc[beside["detector"] == "vendor", same].reset_index(drop=True))
    summary = pd.read_csv(campaign.report_page.parent / "summary.csv")
    assert summary[["detector", "pairs"]].values.tolist() == [["vendor", 2]]


def test_what_is_done_stays_done_though_the_table_is_gone(ran, tmp_path):
    file, _ = ran
    table = file.parent / "scores.csv"
    kept = table.rename(tmp_path / "kept.csv")
    result = call("status", file)
    kept.rename(table)
    assert "finished" in result.stdout, result.output
    assert "0 cells to run" in call("run", file, "--executor", "serial").stdout


def test_it_says_nothing_of_other_images(ran, images):
    file, _ = ran
    result = call("predict", "train/vendor/outside/seed0", images, "--study", file)
    assert result.exit_code == 2
    assert "no detector was saved here" in result.stderr


def _without_tests(table):
    return table[~table["image"].str.contains("/test-0000[0-4]")]


WRONG = {
    "missing file": (lambda _: None, ["detectors.1.file", "no such file"]),
    "no score": (_without_tests, ["detectors.1.file", "images have no score", "test-00000", "…"]),
    "disagreeing": (
        lambda table: pd.concat([table, table[:2].assign(score=9.0)]),
        ["detectors.1.file", "rows disagree", "2 images"],
    ),
    "constant": (lambda table: table.assign(score=1.0), ["detectors.1.file", "all images have one score"]),
    "no column": (lambda table: table.rename(columns={"score": "scores"}), ["detectors.1.file", "no such column"]),
}


@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize(("broken", "words"), WRONG.values(), ids=WRONG)
def test_a_table_that_cannot_be_used_is_refused_before_anything_runs(study, tmp_path, images, verb, broken, words):
    file = study(detectors=BOTH)
    table = broken(truth(images))
    if table is not None:
        table.to_csv(tmp_path / "scores.csv", index=False)
    message = refused(tmp_path, verb, file)
    for word in words:
        assert word in message


def test_logits_that_are_called_probabilities_are_refused(study, tmp_path, images):
    truth(images).to_csv(tmp_path / "scores.csv", index=False)
    file = study(detectors=BOTH)
    values = yaml.safe_load(file.read_text())
    del values["detectors"][1]["scale"]
    file.write_text(yaml.safe_dump(values))
    message = refused(tmp_path, "check", file)
    assert "scores are not in [0, 1]" in message
    assert "scale: logit" in message

"""``orchestrator data audit``: of a folder as it is stored, of a study as its `preprocess` makes it."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

from tests.orchestrator.cli.conftest import call
from tests.trainables.auditing.biased import write_biased

NAMES = ("html", "shortcut.csv", "shortcut_facts.csv", "classes.csv", "copies.csv", "left_out.csv")
"""Ends of the files' names."""


@pytest.fixture(scope="module")
def biased(tmp_path_factory):
    """Forty images of each class, told apart by their files alone."""
    return write_biased(tmp_path_factory.mktemp("biased") / "mine", 40)


def test_a_folder_is_audited_as_it_is_stored(biased):
    result = call("data", "audit", biased)
    page = biased.with_name("mine.audit.html")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == str(page)
    assert "warning: Trivial facts alone tell gan from its real images with an AUROC of 1.00" in result.stdout
    assert "format: real JPEG 100 %, fake PNG 100 %" in result.stdout
    assert "as they are stored" in result.stdout
    assert "Trivial facts alone tell gan" in page.read_text()
    assert "http" not in page.read_text()
    row = pd.read_csv(biased.with_name("mine.audit.shortcut.csv")).iloc[0]
    assert (row["generator"], row["flagged"], row["auroc"]) == ("gan", True, 1.0)


def test_its_files_go_where_they_are_wanted(biased, tmp_path):
    result = call("data", "audit", biased, "--out", tmp_path / "there", "--json")
    found = json.loads(result.stdout)

    assert found["shortcuts"][0]["auroc"] > 0.95
    assert {tmp_path / "there" / "mine.audit.html"} <= set((tmp_path / "there").iterdir())
    assert found["files"] == [str(tmp_path / "there" / f"mine.audit.{name}") for name in NAMES]


def test_a_study_is_audited_as_its_detectors_will_see_it(study, tmp_path):
    file = study(preprocess={"size": 32, "reencode": "jpeg90"})
    result = call("data", "audit", file, "--json")
    found = json.loads(result.stdout)

    assert result.exit_code == 0, result.output
    assert found["preprocessed"]
    assert "format" in found["dropped"]
    assert sorted(shortcut["generator"] for shortcut in found["shortcuts"]) == ["bilinear", "tconv"]
    assert found["files"][0] == str(tmp_path / "results/studies/tiny/audit/tiny.audit.html")


def test_the_report_of_a_run_has_the_same_figures(finished):
    file, _ = finished
    found = json.loads(call("data", "audit", file, "--json").stdout)
    report = file.parent / "results/studies/tiny/report"
    table = pd.read_csv(report / "audit_shortcut.csv").set_index("generator")

    assert {s["generator"]: s["auroc"] for s in found["shortcuts"]} == pytest.approx(table["auroc"].to_dict())
    assert "shortcut baseline" in (report / "report.html").read_text()


@pytest.fixture
def listed(biased, tmp_path):
    """A folder whose table lists some of the images with the labels that are asked for."""

    def write(**labels):
        root = tmp_path / "listed"
        shutil.copytree(biased / "real", root / "0_real")
        shutil.copytree(biased / "fake", root / "1_fake")
        files = [file for part in labels for file in sorted((root / part[1:]).rglob("*.*"))]
        rows = [f"{file.relative_to(root)},{labels['_' + file.relative_to(root).parts[0]]}" for file in files]
        lines = [f"{row},{'gan' if row.endswith('1') else 'camera'}" for row in rows]
        (root / "manifest.csv").write_text("\n".join(["path,label,generator", *lines]))
        return root

    return write


def test_one_class_alone_is_no_error(listed):
    result = call("data", "audit", listed(_0_real=0), "--layout", "manifest")

    assert result.exit_code == 0, result.output
    assert "40 usable images" in result.stdout


def test_inverted_labels_are_warned_of_on_the_page_and_here(listed):
    root = listed(_0_real=1, _1_fake=0)
    result = call("data", "audit", root, "--layout", "manifest")

    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(
        "warning: The labels look inverted. Of 80 images whose folders say real or fake, 80"
    )
    assert "The labels look inverted" in root.with_name("listed.audit.html").read_text()


def test_what_is_no_folder_and_no_study_is_refused(tmp_path):
    absent = call("data", "audit", tmp_path / "absent")

    assert absent.exit_code == 2
    assert "absent" in absent.stderr

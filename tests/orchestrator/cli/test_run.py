"""Run, plan, status and report of a study, by their words, files and exit codes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from tests.orchestrator.cli.conftest import call
from trainables.registry import DETECTORS, Entry

CELLS = 7  # the audit, a source detector and one adapted to bilinear, each scored on both generators
MODELS = 2


def test_a_run_tells_every_model_and_where_its_report_is(finished):
    file, printed = finished
    lines = printed.splitlines()

    assert sum("] done train/residual_cnn/tconv/seed0" in line for line in lines) == 1
    assert sum("] done adapt/residual_cnn/tconv/bilinear/recalibrate/seed0" in line for line in lines) == 1
    assert f"{CELLS} done; {CELLS} cells run" in printed
    page = lines[-1].removeprefix("report: ")
    assert page.startswith(str(file.parent / "results"))
    assert page.endswith(".html")


def test_a_second_run_does_nothing(finished):
    result = call("run", finished[0], "--executor", "serial")

    assert result.exit_code == 0
    assert f"{CELLS} done; 0 cells run" in result.stdout
    assert "] done" not in result.stdout


def test_the_plan_counts_cells_by_stage(study):
    result = call("plan", study())
    rows = [line.split() for line in result.stdout.splitlines()]

    assert result.exit_code == 0
    assert rows[0] == ["stage", "cells", "done", "left", "work", "left"]
    assert rows[1:-1] == [
        ["audit", "1", "0", "1", "?"],
        ["train", "1", "0", "1", "?"],
        ["adapt", "1", "0", "1", "?"],
        ["score", "4", "0", "4", "?"],
        ["all", "7", "0", "7", "?"],
    ]
    assert result.stdout.splitlines()[-1] == "how long it takes is known once a cell of each kind has run"


def test_a_plan_before_the_images_are_made_counts_the_same_cells(study, tmp_path):
    before = study(data={"root": str(tmp_path / "later"), "benchmark": "smoke"}, adaptations=["recalibrate", "coral"])
    planned = call("plan", before)
    assert planned.exit_code == 0
    assert "not made yet" in planned.stdout
    assert call("check", before).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]

    call("data", "make", "smoke", tmp_path / "later")
    made = call("plan", before)
    assert made.stdout.splitlines()[:6] == planned.stdout.splitlines()[:6]
    assert "not made yet" not in made.stdout


def test_the_plan_of_a_finished_study_has_nothing_left(finished):
    *_, total, outlook = call("plan", finished[0]).stdout.splitlines()

    assert total.split() == ["all", "7", "7", "0", "0", "s"]
    assert outlook == "nothing is left to run"


def test_the_plan_as_json_names_cells_and_what_they_need(finished):
    plan = json.loads(call("plan", finished[0], "--json").stdout)
    cells = {cell["id"]: cell for cell in plan["cells"]}

    assert len(cells) == CELLS
    assert {cell["status"] for cell in cells.values()} == {"done"}
    assert all(parent in cells for cell in cells.values() for parent in cell["needs"])
    assert [stage["stage"] for stage in plan["stages"]] == ["audit", "train", "adapt", "score"]


def test_only_chooses_cells_and_what_they_need(study):
    file = study()
    result = call("run", file, "--only", "train/*", "--only", "score/*/source_only/*/bilinear", "--executor", "serial")
    left = call("plan", file, "--only", "score/*bilinear").stdout

    assert result.exit_code == 0
    assert "2 done; 2 cells run" in result.stdout
    rows = [line.split() for line in left.split("\n\n")[0].splitlines()[1:]]
    assert [(row[0], row[-1].split("/")[0]) for row in rows] == [
        ("done", "train"),
        ("done", "score"),
        ("to", "adapt"),
        ("to", "score"),
    ]


def test_only_that_matches_nothing_is_refused(study):
    result = call("plan", study(), "--only", "adapt/*dan*")

    assert result.exit_code == 2
    assert "no cell matches" in result.stderr


def test_a_failed_cell_gives_exit_code_1_and_its_reason(study, monkeypatch):
    broken = Entry(module="tests.orchestrator.cli.broken", summary="raises when it is built")
    monkeypatch.setitem(DETECTORS, "broken", broken)
    file = study(detectors=["broken"])

    result = call("run", file, "--executor", "serial")
    status = call("status", file)
    values = json.loads(call("status", file, "--json").stdout)

    assert result.exit_code == 1
    assert "FAILED train/broken/tconv/seed0: ArithmeticError: no such thing" in result.stdout
    assert "1 done, 1 failed, 5 blocked" in result.stdout
    assert f"orchestrator run {file} --retry-failed" in result.stdout
    assert status.exit_code == 0
    assert "train/broken/tconv/seed0\n    ArithmeticError: no such thing" in status.stdout
    assert "5 cells are blocked" in status.stdout
    assert "Traceback" in values["troubles"][0]["failure"]["traceback"]


def test_the_status_of_a_finished_study(finished):
    result = call("status", finished[0], "--watch")  # ends at once: nothing is running

    assert result.exit_code == 0
    assert "tiny: finished" in result.stdout
    assert ["score", "4", "4", "0", "0", "0"] in [line.split() for line in result.stdout.splitlines()]


def test_the_status_of_a_study_that_never_ran(study):
    assert "tiny: idle" in call("status", study()).stdout


def test_the_report_is_built_again_from_the_store(finished):
    file, printed = finished
    page = file.parent / printed.splitlines()[-1].removeprefix("report: ")
    page.unlink()

    result = call("report", file)

    assert result.exit_code == 0
    assert result.stdout.strip() == str(page)
    assert page.is_file()


def test_checking_a_good_study_tells_what_was_found(study):
    result = call("check", study())

    assert result.exit_code == 0
    assert "tconv" in result.stdout


def test_ctrl_c_gives_130_and_one_line_and_the_run_can_go_on(study):
    file = study(train_generators=["tconv", "nearest", "bilinear"], seeds=[0, 1, 2])
    command = [sys.executable, "-m", "orchestrator", "run", str(file), "--executor", "serial"]
    # A shell that runs the tests in the background has them ignore Ctrl-C, and their children inherit that.
    heeding = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **heeding) as process:
        for line in process.stdout:
            if "] done" in line:
                process.send_signal(signal.SIGINT)
                break
        _, errors = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "Traceback" not in errors
    assert (
        errors.strip().splitlines()[-1] == "interrupted: what is done is kept, and the same command takes up the rest"
    )
    assert "tiny: interrupted" in call("status", file).stdout


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch):
    monkeypatch.setitem(DETECTORS, "lost", Entry(module="trainables.lost", summary=""))

    result = call("list", "detectors")

    assert isinstance(result.exception, ModuleNotFoundError)


@pytest.mark.parametrize("words", [("--executor", "slurm"), ("--epochs", "3")])
def test_unknown_options_and_values_are_refused(study, words):
    assert call("run", study(), *words).exit_code == 2

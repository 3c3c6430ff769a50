"""MLflow shows a tuning with its trials under it: once, whatever happens in between, and again after a deletion."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.plan.cells import Cell, Digest, Stage, Tags
from orchestrator.plan.graph import plan_of
from orchestrator.plan.tuned import awaiting, resolved, tuning_of, with_parameters
from orchestrator.store.artifacts import Artifacts
from orchestrator.store.cell_runs import CellRuns
from orchestrator.store.mirror import Mirror
from orchestrator.store.records import Record, Status
from orchestrator.store.tables import TRIALS, TRIALS_FILE, write_rows
from orchestrator.store.target import Target
from orchestrator.store.trial_runs import TrialRuns
from tests.orchestrator.store.runs import Runs

RATES = (0.001, 0.01, 0.1)
STATES = ("complete", "stopped", "failed")
CURVES = ({"epoch": 1, "value": 0.7, "best": 0.7}, {"epoch": 2, "value": 0.4, "best": 0.7})
TAGS = Tags(detector="cnn", source="tconv", target="nearest", adaptation="dann", seed=0, selection="mdd")


def parameters(rate: float) -> dict[str, Any]:
    return {"weight": 1.0, "recipe": {"learning_rate": rate}}


ORDINARY = Cell(
    stage=Stage.ADAPT,
    method="dann",
    params={"adaptation": parameters(0.003), "seed": 0},
    tags=TAGS,
    data=Digest("d" * 20),
)
TUNE = tuning_of(ORDINARY, {"trials": 3, "objective": "mdd", "version": 1})


def rows(scale: float = 1.0) -> list[dict[str, Any]]:
    """A complete, a stopped and a failed trial."""
    return [
        {
            "number": number,
            "state": state,
            "value": None if state == "failed" else 0.7 * scale - 0.3 * number,
            "epochs": 3 - number,
            "seconds": 2.0,
            "started": 1.7e9 + 10 * number,
            "cell": with_parameters(TUNE, parameters(rate)).id,
            "reason": "loss is nan" if state == "failed" else "",
            "parameter/recipe.learning_rate": json.dumps(rate),
            "parameter/kind": json.dumps("a b"),
            "parameter/only_once": json.dumps([1]) if number == 0 else None,
        }
        for number, (state, rate) in enumerate(zip(STATES, RATES, strict=True))
    ]


def tuned(root: Path, attempt: int = 1, table: list[dict[str, Any]] | None = None) -> Record:
    """The record of a finished tuning, its table in the folder."""
    write_rows(Artifacts(root).folder(TUNE.id) / TRIALS_FILE, rows() if table is None else table, TRIALS)
    return Record.of(
        TUNE,
        Status.DONE,
        metrics={"best": 0.7, "trial": 0, "complete": 1, "importance/recipe.learning_rate": 1.0},
        curves=CURVES,
        chosen=parameters(0.001),
        files=(TRIALS_FILE,),
        started=1.7e9,
        seconds=40.0,
        attempt=attempt,
    )


def mirrored(target: Target, *records: Record) -> Runs:
    with Mirror(target) as mirror:
        for record in records:
            mirror.finished(record)
    assert mirror.pending == 0
    return Runs(target)


def identities(runs: Runs) -> Mapping[int, str]:
    return {number: run.info.run_id for number, run in runs.trials.items()}


def test_a_tuning_has_a_run_like_other_cells_with_what_it_chose(target: Target) -> None:
    runs = mirrored(target, tuned(target.storage))

    run = runs.cells[TUNE.id]
    assert run.data.tags["mlflow.parentRunId"] == runs.parents[0].info.run_id
    assert (run.info.status, run.data.tags["stage"]) == ("FINISHED", "tune")
    assert run.data.metrics["best"] == 0.7
    assert run.data.metrics["importance/recipe.learning_rate"] == 1.0
    assert runs.curve(TUNE.id, "epoch/best") == [(1, 0.7), (2, 0.7)]
    chosen = {key: value for key, value in run.data.params.items() if key.startswith("chosen.")}
    assert chosen == {"chosen.weight": "1.0", "chosen.recipe.learning_rate": "0.001"}
    assert run.data.params["of.adaptation.recipe.learning_rate"] == "0.003"


def test_what_a_tuning_tells_while_it_runs_is_not_mixed_with_its_curve(target: Target) -> None:
    with Mirror(target) as mirror:
        mirror.progress(TUNE, {"trial": 1, "trials": 3, "best": 0.7})
        mirror.finished(tuned(target.storage))

    runs = Runs(target)
    assert runs.curve(TUNE.id, "epoch/value") == [(1, 0.7), (2, 0.4)]
    assert not {"epoch/trial", "epoch/trials"} & set(runs.cells[TUNE.id].data.metrics)


def test_each_trial_is_a_run_under_that_of_its_tuning(target: Target) -> None:
    runs = mirrored(target, tuned(target.storage))

    assert runs.count == 2 + 3
    first, stopped, failed = (runs.trials[number] for number in range(3))
    assert [run.info.status for run in (first, stopped, failed)] == ["FINISHED", "KILLED", "FAILED"]
    assert (first.info.start_time, first.info.end_time) == (1_700_000_000_000, 1_700_000_002_000)
    assert first.info.run_name == f"{TUNE.name}/trial0"
    assert first.data.params == {"recipe.learning_rate": "0.001", "kind": "a b", "only_once": "[1]"}
    assert stopped.data.params == {"recipe.learning_rate": "0.01", "kind": "a b"}
    assert first.data.metrics == {"value": 0.7, "epochs": 3.0, "seconds": 2.0}
    assert failed.data.metrics == {"epochs": 1.0, "seconds": 2.0}
    tags = first.data.tags
    assert tags["mlflow.parentRunId"] == runs.cells[TUNE.id].info.run_id
    assert (tags["tuning"], tags["trial"], tags["state"]) == (TUNE.id, "0", "complete")
    assert (tags["adaptation"], tags["source"], tags["selection"]) == ("dann", "tconv", "mdd")
    assert tags["cell"] == with_parameters(TUNE, parameters(0.001)).id
    assert "cell_id" not in tags
    assert failed.data.tags["reason"] == "loss is nan"


def test_mirroring_again_makes_nothing_twice(target: Target) -> None:
    record = tuned(target.storage)
    before = mirrored(target, record)

    with Mirror(target) as mirror:
        mirror.replay([record])
        mirror.replay([record], thorough=True)
        mirror.finished(record)
    after = Runs(target)

    assert after.count == before.count
    assert identities(after) == identities(before)


@pytest.mark.parametrize("told", [0, 1, 2])
def test_a_mirror_that_dies_between_two_trials_goes_on_from_there(
    target: Target, monkeypatch: pytest.MonkeyPatch, told: int
) -> None:
    create, left = TrialRuns._create, ["a trial"] * told

    def dies(runs: TrialRuns, *trial: Any) -> None:
        if not left:
            raise SystemExit
        left.pop()
        create(runs, *trial)

    record = tuned(target.storage)
    with monkeypatch.context() as patched:
        patched.setattr(TrialRuns, "_create", dies)
        with pytest.raises(SystemExit):
            CellRuns(target).put(record)
    half = Runs(target)
    assert (half.cells[TUNE.id].info.status, len(half.trials)) == ("RUNNING", told)

    runs = mirrored(target, record)

    assert runs.count == 2 + 3
    assert identities(runs).items() >= identities(half).items()
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.trials.values()} == {runs.cells[TUNE.id].info.run_id}


def test_a_trial_left_half_told_is_made_anew(target: Target) -> None:
    record = tuned(target.storage)
    runs = mirrored(target, record)
    whole = runs.trials[1]
    runs.client.delete_run(whole.info.run_id)
    half = runs.client.create_run(whole.info.experiment_id, tags=whole.data.tags)

    with Mirror(target) as mirror:
        mirror.replay([record], thorough=True)
    again = Runs(target)

    assert again.count == 2 + 3
    assert again.trials[1].info.run_id not in (whole.info.run_id, half.info.run_id)
    assert again.trials[1].data.metrics == whole.data.metrics


def test_two_runs_of_one_trial_become_one(target: Target) -> None:
    record = tuned(target.storage)
    runs = mirrored(target, record)
    runs.client.create_run(runs.trials[2].info.experiment_id, tags=runs.trials[2].data.tags)
    assert Runs(target).count == 6

    with Mirror(target) as mirror:
        mirror.replay([record], thorough=True)

    assert Runs(target).count == 5
    assert identities(Runs(target)) == identities(runs)


def test_deleted_runs_come_back_with_a_thorough_look(target: Target) -> None:
    record = tuned(target.storage)
    runs = mirrored(target, record)
    runs.client.delete_run(runs.trials[1].info.run_id)

    with Mirror(target) as mirror:
        mirror.replay([record], thorough=True)
    again = Runs(target)
    assert again.count == 5
    assert again.cells[TUNE.id].info.run_id == runs.cells[TUNE.id].info.run_id

    again.client.delete_run(again.cells[TUNE.id].info.run_id)
    with Mirror(target) as mirror:
        mirror.replay([record], thorough=True)
    last = Runs(target)
    assert identities(last) == identities(again)
    assert {run.data.tags["mlflow.parentRunId"] for run in last.trials.values()} == {last.cells[TUNE.id].info.run_id}


def test_a_tuning_done_again_shows_the_trials_of_its_last_attempt(target: Target) -> None:
    mirrored(target, tuned(target.storage))
    later = [{**row, "started": row["started"] + 100} for row in rows(2.0)]

    runs = mirrored(target, tuned(target.storage, attempt=2, table=later))

    assert runs.count == 5
    assert runs.trials[0].data.metrics["value"] == 1.4


def test_without_its_table_a_tuning_is_shown_alone_and_its_trials_stay(target: Target) -> None:
    record = tuned(target.storage)
    before = mirrored(target, record)
    (Artifacts(target.storage).folder(TUNE.id) / TRIALS_FILE).unlink()

    after = mirrored(target, replace(record, attempt=2))

    assert identities(after) == identities(before)


def test_two_studies_have_trials_of_their_own(target: Target) -> None:
    record = tuned(target.storage)
    mirrored(target, record)
    runs = mirrored(Target.of("other", target.storage, experiment="demo"), record)

    assert runs.count == 2 * 5


def test_what_a_tuning_has_chosen_has_a_run_of_its_own_and_what_it_has_not_has_none(target: Target) -> None:
    won, lost = (with_parameters(TUNE, parameters(rate)) for rate in RATES[:2])
    plan = plan_of("demo", [TUNE, awaiting(ORDINARY, TUNE)])
    after = resolved(plan, {TUNE.id: parameters(0.001)})
    done = {cell.id: Record.of(cell, Status.DONE, started=1.7e9, seconds=1.0) for cell in (won, lost)}
    with Mirror(target) as mirror:
        mirror.begin(plan, {})
        record = tuned(target.storage)
        mirror.finished(record)
        mirror.replanned(after, {**done, TUNE.id: record})

    assert set(Runs(target).cells) == {TUNE.id, won.id}


def test_names_are_those_of_the_plan_as_it_is_now(target: Target) -> None:
    won = with_parameters(TUNE, parameters(0.001))
    ours = replace(won, tags=replace(TAGS, adaptation="ours"))
    record = Record.of(won, Status.DONE, started=1.7e9, seconds=1.0)
    with Mirror(target) as mirror:
        mirror.begin(plan_of("demo", [TUNE]), {})
        mirror.finished(tuned(target.storage))
        mirror.replanned(plan_of("demo", [TUNE, ours]), {ours.id: record})

    assert Runs(target).cells[won.id].data.tags["adaptation"] == "ours"


def test_closing_waits_as_long_as_the_store_takes_trials(target: Target) -> None:
    mirror = Mirror(target)
    mirror.finished(tuned(target.storage, table=[{**rows()[0], "number": number} for number in range(60)]))

    # All of them take longer than that, no single one does.
    assert mirror.close(patience=1.2) == 0
    assert len(Runs(target).trials) == 60


def test_an_emptied_store_is_rebuilt_equal(target: Target, empty_database: Path) -> None:
    record = tuned(target.storage)
    before = mirrored(target, record)
    (target.storage / "mlflow.db").unlink()
    shutil.copy(empty_database, target.storage / "mlflow.db")

    with Mirror(target) as mirror:
        mirror.replay([record])
    after = Runs(target)

    assert after.content() == before.content()
    own = {"mlflow.parentRunId", "study_run"}
    first, second = (
        {
            number: (
                run.info.status,
                run.info.start_time,
                run.info.end_time,
                run.data.params,
                run.data.metrics,
                {key: value for key, value in run.data.tags.items() if key not in own},
            )
            for number, run in runs.trials.items()
        }
        for runs in (before, after)
    )
    assert first == second

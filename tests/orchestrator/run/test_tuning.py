"""Tunings in the driver, serially; the trials' work is made up."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from orchestrator.plan.cells import Stage
from orchestrator.plan.graph import plan_of
from orchestrator.plan.tuned import with_parameters
from orchestrator.run.driver import Run
from orchestrator.run.queue import Lane
from orchestrator.run.serial import run_serially
from orchestrator.run.tally import Tally
from orchestrator.store.ledger import Ledger
from orchestrator.store.records import Failure, Status
from orchestrator.store.tables import TRIALS, TRIALS_FILE, read_rows
from tests.orchestrator.run.made_up import Told
from tests.orchestrator.run.tunable import (
    adapt,
    executed,
    fails,
    learns,
    nested,
    odd_ones_fail,
    run_of,
    score,
    the_tuning,
    train,
    tuned,
    tuned_detector,
    worth,
)
from trainables.errors import InputError

ROOT = Path(__file__).parents[3]


def finished(run: Run) -> Run:
    run_serially(run)
    return run


def rates(run: Run, tune: str) -> list[float]:
    """The learning rates of all trials, by number."""
    rows = read_rows(run.place.artifacts.folder(tune) / TRIALS_FILE)
    return [json.loads(text) for text in rows["parameter/recipe.learning_rate"]]


def test_the_best_trial_is_chosen_and_what_waited_for_it_is_its_cell(tmp_path):
    run = finished(run_of(tmp_path, tuned_detector()))
    assert run.summary().exit_code == 0
    record = the_tuning(tmp_path)
    tried = rates(run, record.cell)
    best = min(tried, key=lambda rate: abs(math.log10(rate) + 2))
    assert record.metrics["complete"] == len(tried) == len(set(tried)) == 6
    assert record.chosen["recipe"]["learning_rate"] == best
    assert record.metrics["best"] == worth(record.chosen) == max(row["value"] for row in record.curves)
    assert tried[int(record.metrics["trial"])] == best
    tune = run.plan.cells[record.cell]
    winner = with_parameters(tune, record.chosen)
    assert winner.id in run.plan.cells
    assert executed(tmp_path, "train").count(winner.id) == 1
    assert executed(tmp_path, "score") == [score(winner).id]
    assert len(run.plan) == 3


def test_the_winner_is_the_cell_of_a_study_that_names_its_parameters(tmp_path):
    finished(run_of(tmp_path, tuned_detector()))
    model = train(**the_tuning(tmp_path).chosen)
    again = finished(run_of(tmp_path, plan_of("named", [model, score(model)])))
    assert again.summary().executed == 0
    assert again.summary().done == 2


def test_the_table_of_trials_says_what_each_of_them_was(tmp_path):
    run = finished(run_of(tmp_path, tuned_detector()))
    record = the_tuning(tmp_path)
    rows = read_rows(run.place.artifacts.folder(record.cell) / TRIALS_FILE)
    assert list(rows.columns) == [*(column.name for column in TRIALS), "parameter/recipe.learning_rate"]
    assert list(rows["number"]) == list(range(6))
    assert set(rows["state"]) == {"complete"}
    assert list(rows["seconds"]) == [0.5] * 6
    assert list(rows["cell"]) == executed(tmp_path, "train")
    assert record.seconds == 3.0
    assert [row["epoch"] for row in record.curves] == [1, 2, 3, 4, 5, 6]
    so_far = [max(rows["value"][: number + 1]) for number in range(6)]
    assert [row["best"] for row in record.curves] == so_far
    assert record.metrics["importance/recipe.learning_rate"] == pytest.approx(1.0)


def test_a_second_run_does_nothing(tmp_path):
    finished(run_of(tmp_path, tuned_detector()))
    before = executed(tmp_path)
    again = finished(run_of(tmp_path, tuned_detector()))
    assert again.summary().executed == 0
    assert (again.summary().done, len(again.plan)) == (3, 3)
    assert executed(tmp_path) == before


def test_trials_are_in_the_ledger_but_not_among_the_cells_of_the_plan(tmp_path):
    told = Told()
    run = finished(run_of(tmp_path, tuned_detector(), listeners=[told]))
    records = Ledger(tmp_path).records().values()
    assert sum(record.stage == Stage.TRAIN for record in records) == 6
    assert run.summary().done == len(run.plan)
    names = [event[1] for event in told.events if event[0] == "finished"]
    assert names == ["tune/residual_cnn/a/seed0", "score/residual_cnn/a/a/source_only/seed0"]
    steps = [event[2] for event in told.events if event[0] == "progress"]
    assert [step["trial"] for step in steps] == [1, 2, 3, 4, 5, 6]
    assert {step["trials"] for step in steps} == {6}
    assert ("replanned", 3, 2) in told.events


def test_the_tally_counts_the_plan_as_it_is(tmp_path):
    tally = Tally(clock=lambda: 0.0)
    listener = _Counting(tally)
    finished(run_of(tmp_path, nested(), listeners=[listener]))
    assert {stage: tally.ended(stage) for stage in tally.total} == dict(tally.total)
    assert sum(tally.total.values()) == 7


class _Counting(Told):
    """Passes everything to a tally, which is no listener by itself."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self.begin, self.replanned, self.started = tally.begin, tally.replanned, tally.started
        self.progress, self.finished = tally.progress, tally.finished


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_one_worker_and_one_seed_ask_for_the_same_trials(tmp_path, sampler):
    plan = tuned_detector(trials=14, sampler=sampler)
    first, second = finished(run_of(tmp_path / "1", plan)), finished(run_of(tmp_path / "2", plan))
    tune = the_tuning(tmp_path / "1").cell
    assert rates(first, tune) == rates(second, tune)
    assert len(set(rates(first, tune))) == 14
    assert the_tuning(tmp_path / "1").chosen == the_tuning(tmp_path / "2").chosen


def test_tpe_learns_from_the_trials_before(tmp_path):
    run = finished(run_of(tmp_path, tuned_detector(trials=30, sampler="tpe")))
    found = [abs(math.log10(rate) + 2) for rate in rates(run, the_tuning(tmp_path).cell)]
    assert sum(found[20:]) < sum(found[:10])


def test_trials_that_fail_are_told_why_and_count(tmp_path):
    run = finished(run_of(tmp_path, tuned_detector(), odd_ones_fail))
    record = the_tuning(tmp_path)
    rows = read_rows(run.place.artifacts.folder(record.cell) / TRIALS_FILE)
    assert list(rows["state"]) == ["failed", "failed", *["complete"] * 4]
    assert list(rows["reason"])[:3] == ["its value is nan", "RuntimeError: boom", ""]
    assert rows["value"].isna().tolist() == [True, True, False, False, False, False]
    assert (record.metrics["failed"], record.metrics["complete"], len(rows)) == (2, 4, 6)
    assert run.summary().exit_code == 0


def test_where_every_trial_fails_the_tuning_does_and_blocks_what_waits(tmp_path):
    run = finished(run_of(tmp_path, tuned_detector(), fails))
    record = the_tuning(tmp_path)
    assert (run.summary().failed, run.summary().blocked, run.summary().exit_code) == (1, 2, 1)
    assert record.failure is not None
    assert "RuntimeError: boom" in record.failure.message
    assert "boom" in record.failure.traceback
    left_alone = finished(run_of(tmp_path, tuned_detector()))
    assert left_alone.summary().executed == 0
    retried = finished(run_of(tmp_path, tuned_detector(), retry_failed=True))
    assert retried.summary().exit_code == 0
    assert the_tuning(tmp_path).metrics["complete"] == 6
    assert the_tuning(tmp_path).attempt == 2


def test_a_trial_whose_worker_is_lost_has_failed(tmp_path):
    run = run_of(tmp_path, tuned_detector())
    run.lost(run.take("inline"), Failure(kind="WorkerLost", message="the worker died", retryable=True))
    finished(run)
    record = the_tuning(tmp_path)
    assert (record.metrics["failed"], record.metrics["complete"]) == (1, 5)


def test_equal_trials_are_made_once(tmp_path):
    space = {"width": {"choices": [8, 12]}}
    finished(run_of(tmp_path, tuned_detector(space=space, trials=8)))
    assert len(executed(tmp_path, "train")) == len(set(executed(tmp_path, "train"))) == 2
    record = the_tuning(tmp_path)
    assert record.metrics["complete"] == 8
    assert record.metrics["trial"] == 0  # of equals the first
    assert not [name for name in record.metrics if name.startswith("importance")]  # all are worth the same


def test_a_trial_that_equals_one_in_flight_waits_for_it(tmp_path):
    run = run_of(tmp_path, tuned_detector(space={"width": {"choices": [8]}}, trials=3))
    job = run.take("inline")
    assert run.take("inline") is None
    run.finish(job, run.work(job, run.place, None))
    finished(run)
    assert the_tuning(tmp_path).metrics["complete"] == 3
    assert len(executed(tmp_path, "train")) == 1


def test_a_trial_that_equals_a_cell_of_the_plan_waits_for_that(tmp_path):
    space = {"width": {"choices": [8]}}
    named = train(width=8)
    tune, waits = tuned(train(), space=space, trials=2)
    run = finished(run_of(tmp_path, plan_of("both", [named, score(named), tune, waits, score(waits)])))
    assert run.summary().exit_code == 0
    assert executed(tmp_path, "train") == [named.id]
    assert len(run.plan) == 3  # the tuning has chosen what was there


def test_trials_of_several_tunings_take_turns(tmp_path):
    plan = plan_of("two", [*tuned_detector("a"), *tuned_detector("b")])
    run = run_of(tmp_path, plan)
    jobs = [run.take("inline") for _ in range(4)]
    assert [job.cells[0].tags.source for job in jobs] == ["a", "b", "a", "b"]
    for job in jobs:
        run.finish(job, run.work(job, run.place, None))
    finished(run)
    assert run.summary().exit_code == 0


def test_trials_come_before_what_nothing_waits_for(tmp_path):
    other = train("z")
    run = run_of(tmp_path, plan_of("both", [other, *tuned_detector()]))
    assert run.take("inline").cells[0].tags.source == "a"


def test_a_tuned_adaptation_of_a_tuned_detector(tmp_path):
    run = finished(run_of(tmp_path, nested()))
    assert run.summary().exit_code == 0
    assert len(run.plan) == 7
    of_detector, of_adaptation = the_tuning(tmp_path, target="a"), the_tuning(tmp_path, target="b")
    model = train(**of_detector.chosen)
    assert of_adaptation.needs == (model.id,)
    assert of_adaptation.metrics["complete"] == 5
    assert of_adaptation.metrics["best"] == pytest.approx(worth(of_adaptation.chosen))
    assert len(executed(tmp_path, "adapt")) == len(executed(tmp_path, "validate")) == 5
    assert adapt(model).needs == (model.id,)
    again = finished(run_of(tmp_path, nested()))
    assert again.summary().executed == 0


def test_what_is_tuned_is_blocked_by_a_model_that_failed(tmp_path):
    model = train()
    tune, adapted = tuned(adapt(model))
    run = finished(run_of(tmp_path, plan_of("blocked", [model, tune, adapted]), fails))
    assert (run.summary().failed, run.summary().blocked) == (1, 2)


@pytest.mark.parametrize("sampler", ["tpe", "qmc"])
def test_an_interrupted_search_goes_on_as_if_nothing_had_been(tmp_path, sampler):
    plan = tuned_detector(trials=13, sampler=sampler)
    run_serially(whole := run_of(tmp_path / "whole", plan))
    run = run_of(tmp_path / "cut", plan)
    for _ in range(4):
        job = run.take("inline")
        run.finish(job, run.work(job, run.place, None))
    run.work(run.take("inline"), run.place, None)  # its worker has ended, and the driver dies before it hears of that
    resumed = finished(run_of(tmp_path / "cut", plan))
    tune = the_tuning(tmp_path / "cut").cell
    assert rates(resumed, tune) == rates(whole, tune)
    assert len(executed(tmp_path / "cut", "train")) == 13


def test_half_a_line_of_a_power_cut_is_passed_over(tmp_path):
    plan = tuned_detector()
    run = run_of(tmp_path, plan)
    job = run.take("inline")
    run.finish(job, run.work(job, run.place, None))
    journal = run.place.artifacts.folder(next(iter(plan)).id) / "trials.journal"
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker')
    assert finished(run_of(tmp_path, plan)).summary().exit_code == 0


def test_a_driver_that_is_killed_in_the_middle_loses_no_trial(tmp_path):
    code = (
        "from pathlib import Path\n"
        "from orchestrator.run.serial import run_serially\n"
        "from tests.orchestrator.run.tunable import die_at, run_of, tuned_detector\n"
        f"run_serially(run_of(Path({str(tmp_path)!r}), tuned_detector(), die_at(3)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    assert len(executed(tmp_path)) == 3
    run = finished(run_of(tmp_path, tuned_detector()))
    assert run.summary().exit_code == 0
    assert the_tuning(tmp_path).metrics["complete"] == 6
    assert len(rates(run, the_tuning(tmp_path).cell)) == len(executed(tmp_path, "train")) == 6


def test_a_driver_that_is_killed_when_all_trials_are_told_leaves_a_tuning_that_ends_at_once(tmp_path):
    plan = tuned_detector()
    run = finished(run_of(tmp_path, plan))
    (run.place.artifacts.folder(the_tuning(tmp_path).cell) / "record.json").unlink()
    trials = [record for record in Ledger(tmp_path).records().values() if record.stage == Stage.TRAIN]
    shutil.rmtree(tmp_path / "ledger")
    Ledger(tmp_path).commit(*trials)
    again = run_of(tmp_path, plan)
    assert again.ready(Lane.INLINE)  # asked first, as the executor on Ray does: what was chosen is to be scored
    assert finished(again).plan.hash == run.plan.hash
    assert again.summary().exit_code == 0
    assert len(executed(tmp_path, "train")) == len(trials) == 6


def test_asha_stops_what_is_behind_and_files_nothing_of_it(tmp_path):
    run = finished(run_of(tmp_path, tuned_detector(trials=12, scheduler="asha"), learns))
    record = the_tuning(tmp_path)
    rows = read_rows(run.place.artifacts.folder(record.cell) / TRIALS_FILE)
    stopped, complete = rows[rows["state"] == "stopped"], rows[rows["state"] == "complete"]
    assert len(stopped) + len(complete) == 12
    assert len(stopped) > 3
    assert record.metrics["stopped"] == len(stopped)
    assert (stopped["epochs"] < 5).all()
    assert stopped["value"].notna().all()
    assert not set(stopped["cell"]) & set(Ledger(tmp_path).records())
    assert not [cell for cell in stopped["cell"] if run.place.artifacts.folder(cell).exists()]
    assert record.chosen == with_parameters(run.plan.cells[record.cell], record.chosen).params["detector"]
    assert record.metrics["best"] == complete["value"].max()
    assert len((tmp_path / "epochs.txt").read_text().split()) == 5 * len(complete) + stopped["epochs"].sum()


def test_a_database_keeps_the_trials_where_there_is_one(tmp_path):
    uri = f"sqlite:///{tmp_path / 'optuna.db'}"
    run = finished(run_of(tmp_path / "store", tuned_detector(), trials=uri))
    assert run.summary().exit_code == 0
    folder = run.place.artifacts.folder(the_tuning(tmp_path / "store").cell)
    assert not (folder / "trials.journal").exists()
    other = finished(run_of(tmp_path / "other", tuned_detector(), trials=uri))
    assert rates(other, the_tuning(tmp_path / "other").cell) == rates(run, the_tuning(tmp_path / "store").cell)


def test_a_database_that_is_not_there_is_told_without_its_password(tmp_path):
    uri = "postgresql://me:secret@127.0.0.1:1/trials"
    with pytest.raises(InputError, match="database of trials cannot be used") as caught:
        run_serially(run_of(tmp_path, tuned_detector(), trials=uri))
    assert caught.value.where == "trials.uri"
    assert "127.0.0.1:1/trials" in str(caught.value)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_a_failed_record_of_before_is_told_without_a_try(tmp_path):
    plan = tuned_detector(space={"width": {"choices": [8, 12]}}, trials=6)
    run = run_of(tmp_path, plan)
    job = run.take("inline")
    run.finish(job, fails(job, run.place, None))
    finished(run)
    record = the_tuning(tmp_path)
    assert record.metrics["failed"] >= 1
    assert len(executed(tmp_path, "train")) == 1
    statuses = [each.status for each in Ledger(tmp_path).records().values() if each.stage == Stage.TRAIN]
    assert sorted(statuses) == [Status.DONE, Status.FAILED]

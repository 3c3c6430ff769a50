from __future__ import annotations

import pytest

from orchestrator.plan.cells import Stage
from orchestrator.run.execute import record_of
from orchestrator.run.left import outstanding
from orchestrator.run.serial import run_serially
from orchestrator.run.wire import pack_job, pack_records, unpack_job, unpack_records
from orchestrator.store.ledger import Ledger
from orchestrator.store.records import Failure, Status
from tests.orchestrator.run.made_up import Told, executed, fail_at, grid, scored_thrice, succeed


def test_everything_is_run_once_and_a_second_run_does_nothing(make_run, tmp_path):
    first = make_run()
    run_serially(first)
    assert first.summary().exit_code == 0
    assert first.summary().executed == len(first.plan)
    assert sorted(executed(tmp_path)) == sorted(cell.name for cell in first.plan)
    again = make_run()
    run_serially(again)
    assert again.summary().executed == 0
    assert again.summary().done == len(first.plan)
    assert len(executed(tmp_path)) == len(first.plan)


def test_a_failure_is_filed_blocks_what_needs_it_and_nothing_else(make_run, tmp_path):
    run = make_run(work=fail_at("train/d/s0/seed0"))
    run_serially(run)
    summary = run.summary()
    lost = [cell for cell in run.plan if cell.tags.source.startswith("s0")]
    assert (summary.failed, summary.blocked, summary.exit_code) == (1, len(lost) - 1, 1)
    assert summary.done == len(run.plan) - len(lost)
    records = Ledger(tmp_path).records()
    root = next(cell for cell in lost if cell.stage is Stage.TRAIN)
    assert records[root.id].failure.kind == "RuntimeError"
    assert "boom" in records[root.id].failure.traceback
    child = next(cell for cell in lost if cell.needs == (root.id,))
    assert records[child.id].failure.message == f"needs {root.name}"


def test_a_failed_cell_is_not_run_again_unless_asked(make_run, tmp_path):
    run_serially(make_run(work=fail_at("train/d/s0/seed0")))
    before = len(executed(tmp_path))
    left_alone = make_run()
    run_serially(left_alone)
    assert left_alone.summary().exit_code == 1
    assert len(executed(tmp_path)) == before
    retried = make_run(retry_failed=True)
    run_serially(retried)
    assert retried.summary().exit_code == 0
    root = next(cell for cell in retried.plan if cell.name == "train/d/s0/seed0")
    assert Ledger(tmp_path).records()[root.id].attempt == 2


DIED = Failure(kind="WorkerLost", message="the worker died", retryable=True)


def test_a_lost_worker_is_run_again_without_asking(make_run):
    run = make_run()
    job = run.queue.take("inline")
    run.lost(job, DIED)
    assert run.summary().failed == 1
    again = make_run()
    run_serially(again)
    assert again.summary().exit_code == 0


def test_a_lost_job_keeps_what_it_had_finished(make_run, tmp_path):
    run = make_run()
    job = run.queue.take("inline")
    run.place.artifacts.leave(record_of(job.cells[0], run.place, status=Status.DONE))
    run.lost(job, DIED)
    records = Ledger(tmp_path).records()
    assert records[job.cells[0].id].status is Status.DONE
    assert records[job.cells[1].id].failure.retryable


def test_what_a_killed_driver_did_not_commit_is_taken_up(make_run, tmp_path):
    run = make_run()
    job = run.queue.take("inline")
    succeed(job, run.place, None)  # the worker ended; the driver died before filing it
    again = make_run()
    run_serially(again)
    names = executed(tmp_path)
    assert len(names) == len(set(names)) == len(run.plan)
    assert set(Ledger(tmp_path).records()) == set(run.plan.cells)


def test_listeners_hear_of_everything_in_order(make_run):
    told = Told()
    run = make_run(listeners=[told])
    run_serially(run)
    assert told.events[0] == ("begin", len(run.plan), 0)
    finished = [event[1] for event in told.events if event[0] == "finished"]
    assert sorted(finished) == sorted(cell.name for cell in run.plan)
    started = [event[1] for event in told.events if event[0] == "started"]
    assert all(finished.index(name) >= 0 for name in started)


def test_new_children_of_a_failed_cell_are_blocked_too(make_run):
    run_serially(make_run(grid(2, 1), work=fail_at("train/d/s0/seed0")))
    wider = make_run(grid(2, 3))
    run_serially(wider)
    assert wider.summary().blocked == sum(c.tags.source.startswith("s0") for c in wider.plan) - 1


@pytest.mark.parametrize("retryable", [True, False])
def test_outstanding_runs_a_failure_again_only_if_it_may_pass(make_run, retryable):
    plan = make_run().plan
    root = next(iter(plan))
    failed = record_of(
        root, make_run().place, status=Status.FAILED, failure=Failure(kind="x", message="y", retryable=retryable)
    )
    todo, blocked = outstanding(plan, {root.id: failed})
    assert (root.id in todo.cells) is retryable
    assert bool(blocked) is not retryable


def test_jobs_and_records_survive_the_border_between_processes(make_run):
    run = make_run()
    job = run.queue.take("inline")
    assert unpack_job(pack_job(job)).cells == job.cells
    assert [c.tags for c in unpack_job(pack_job(job)).cells] == [c.tags for c in job.cells]
    records = [
        record_of(c, run.place, status=Status.DONE, metrics={"auroc": 0.5}, curves=({"epoch": 1},)) for c in job.cells
    ]
    assert unpack_records(pack_records(records)) == [record.from_json(record.to_json()) for record in records]


def test_a_model_whose_files_are_gone_is_made_again_for_those_who_need_it(make_run, tmp_path):
    run_serially(make_run(grid(2, 1)))
    first = make_run(grid(2, 1))
    gone = next(cell for cell in first.plan if cell.name == "train/d/s0/seed0")
    (first.place.artifacts.folder(gone.id) / "record.json").unlink()
    run_serially(first)
    assert executed(tmp_path).count(gone.name) == 1  # nobody needs it
    wider = make_run(grid(2, 2))
    run_serially(wider)
    assert wider.summary().exit_code == 0
    assert executed(tmp_path).count(gone.name) == 2
    assert executed(tmp_path).count("train/d/s1/seed0") == 1


def test_the_scores_of_a_lost_job_are_lost_and_not_blocked_by_each_other(make_run, tmp_path):
    run = make_run(scored_thrice())
    job = run.queue.take("inline")
    run.place.artifacts.leave(record_of(job.cells[0], run.place, status=Status.DONE))
    run.lost(job, Failure(kind="WorkerLost", message="the worker died", retryable=True))
    statuses = [Ledger(tmp_path).records()[each.id].status for each in job.cells]
    assert statuses == [Status.DONE, Status.FAILED, Status.FAILED, Status.FAILED]

from __future__ import annotations

from orchestrator.plan.cells import Cell, Stage, Tags
from orchestrator.plan.graph import plan_of
from orchestrator.plan.jobs import jobs
from orchestrator.run.queue import JobQueue, Lane
from orchestrator.study.resources import StageResources

ONE_DEVICE = StageResources()


def cell(stage: Stage, name: str, *needs: Cell) -> Cell:
    tags = Tags(detector="d", source=name, target=name, adaptation="a", seed=0, test="t" if stage == "score" else "")
    return Cell(stage=stage, method="m", params={"name": name}, needs=tuple(n.id for n in needs), tags=tags)


LONE = cell(Stage.TRAIN, "lone")
ROOT = cell(Stage.TRAIN, "root")
LEFT, RIGHT = cell(Stage.ADAPT, "left", ROOT), cell(Stage.ADAPT, "right", ROOT)
ROOT_SCORE, LEFT_SCORE = cell(Stage.SCORE, "root score", ROOT), cell(Stage.SCORE, "left score", LEFT)
ATTACK = cell(Stage.ATTACK, "attack", LEFT)
ALL = [LONE, ROOT, ROOT_SCORE, LEFT, LEFT_SCORE, RIGHT, ATTACK]


def queue_of(*cells: Cell, resources: StageResources = ONE_DEVICE) -> JobQueue:
    plan = plan_of("test", cells)
    return JobQueue(jobs(plan), plan, resources)


def test_what_unlocks_most_comes_first_and_children_wait():
    queue = queue_of(*ALL)
    root = queue.take(Lane.INLINE)
    assert root.cells == (ROOT, ROOT_SCORE)
    assert queue.take(Lane.INLINE).cells == (LONE,)
    assert queue.take(Lane.INLINE) is None
    assert queue.settle(root, [ROOT.id, ROOT_SCORE.id]) == ()
    left = queue.take(Lane.INLINE)
    assert left.cells == (LEFT, LEFT_SCORE)
    assert not queue.ready(Lane.TASK)
    queue.settle(left, [LEFT.id, LEFT_SCORE.id])
    assert queue.take(Lane.TASK).cells == (ATTACK,)


def test_the_audit_is_a_task_that_waits_for_nothing_and_that_nothing_waits_for():
    audit = cell(Stage.AUDIT, "images")
    queue = queue_of(audit, *ALL)
    job = queue.take(Lane.TASK)
    assert job.cells == (audit,)
    assert queue.ready(Lane.INLINE)
    assert queue.settle(job, []) == ()


def test_a_failed_model_blocks_everything_below_it():
    queue = queue_of(*ALL)
    root = queue.take(Lane.INLINE)
    assert set(queue.settle(root, [])) == {LEFT, LEFT_SCORE, RIGHT, ATTACK}
    lone = queue.take(*Lane)
    queue.settle(lone, [LONE.id])
    assert not queue


def test_a_failed_score_blocks_nothing():
    queue = queue_of(*ALL)
    assert queue.settle(queue.take(Lane.INLINE), [ROOT.id]) == ()
    assert queue.ready(Lane.INLINE)


def test_the_queue_is_empty_only_when_everything_has_come_back():
    queue = queue_of(ROOT)
    job = queue.take(Lane.INLINE)
    assert queue
    queue.settle(job, [ROOT.id])
    assert not queue


def test_lanes_follow_the_resources():
    both = StageResources.model_validate({"train": {"workers": 2}})
    queue = queue_of(*ALL, resources=both)
    assert not queue.ready(Lane.INLINE)
    root = queue.take(Lane.TRAIN)
    queue.settle(root, [c.id for c in root.cells])
    assert queue.ready(Lane.INLINE)
    assert queue.ready(Lane.TRAIN)  # the lone one


def test_scores_alone_never_need_a_worker_group():
    queue = queue_of(
        cell(Stage.SCORE, "late", ROOT), resources=StageResources.model_validate({"train": {"workers": 2}})
    )
    assert queue.ready(Lane.INLINE)


def test_a_queue_that_follows_another_hands_out_nothing_twice():
    queue = queue_of(*ALL)
    root = queue.take(Lane.INLINE)
    plan = plan_of("test", [*ALL, cell(Stage.TRAIN, "new")])
    after = JobQueue(jobs(plan), plan, ONE_DEVICE, queue.out)
    assert [after.take(Lane.INLINE).cells[0].tags.source for _ in range(2)] == ["lone", "new"]
    assert after.take(Lane.INLINE) is None
    assert after.has(ROOT.id)
    after.settle(root, [ROOT.id, ROOT_SCORE.id])
    assert not after.has(ROOT.id)
    assert after.ready(Lane.INLINE)


def test_tunings_are_the_drivers_own():
    tune = cell(Stage.TUNE, "search")
    queue = queue_of(tune)
    assert queue.take(Lane.INLINE, Lane.TRAIN, Lane.TASK) is None
    assert queue.take(Lane.TUNE).cells == (tune,)

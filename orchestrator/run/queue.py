"""Which job may start next: the state of a run, without a clock, a process or Ray."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from orchestrator.plan.cells import Cell, CellId, Stage
from orchestrator.plan.graph import Plan
from orchestrator.plan.jobs import Job
from orchestrator.study.resources import StageResources


class Lane(StrEnum):
    """How a job is run.

    ``inline`` jobs share the warm processes of one Tune run; ``train`` jobs each start a TorchTrainer, in a Tune run of
    their own, because idle warm processes would keep the resources its workers wait for; ``task`` jobs are Ray tasks.
    ``tune`` jobs are the driver's: it searches, and their trials run in the other lanes.
    """

    INLINE = "inline"
    TRAIN = "train"
    TASK = "task"
    TUNE = "tune"


def lane(stage: Stage, resources: StageResources) -> Lane:
    """The lane of a job whose first cell is of this stage."""
    if stage is Stage.TUNE:
        return Lane.TUNE
    if stage in (Stage.AUDIT, Stage.ATTACK, Stage.ANALYSE):
        return Lane.TASK
    if stage.makes_model and resources.of(stage).distributed:
        return Lane.TRAIN
    return Lane.INLINE


class JobQueue:
    """Jobs in the order in which they may run.

    A job is ready when every cell it needs is done. Among ready jobs the one that unlocks most comes first, so that the
    graph never narrows to one long chain at the end.

    Args:
        jobs: parents before children.
        plan: the pending cells of all jobs.
        resources: decide each job's lane.
        out: what an earlier queue has handed out, by id: those of the jobs are not handed out again.
    """

    def __init__(
        self, jobs: Sequence[Job], plan: Plan, resources: StageResources, out: Mapping[CellId, Job] | None = None
    ) -> None:
        self._plan = plan
        self._resources = resources
        self._jobs = {job.id: job for job in jobs}
        self._cells = {cell.id for cell in plan}
        self._out = dict(out or {})
        self._missing = {job.id: set(job.needs) for job in jobs}
        self._order = {job.id: (-_unlocks(job, plan), index) for index, job in enumerate(jobs)}
        self._readers: defaultdict[CellId, list[CellId]] = defaultdict(list)
        self._ready: dict[Lane, list[tuple[tuple[int, int], CellId]]] = {each: [] for each in Lane}
        for job in jobs:
            for parent in job.needs:
                self._readers[parent].append(job.id)
            if not job.needs and job.id not in self._out:
                self._make_ready(job)

    def __bool__(self) -> bool:
        """Whether any job is left to start or to wait for."""
        return bool(self._jobs)

    @property
    def out(self) -> Mapping[CellId, Job]:
        """The jobs that were handed out and have not ended, by id."""
        return self._out

    def has(self, cell: CellId) -> bool:
        """Whether the cell is in a job that is out, or yet to be handed out."""
        return cell in self._cells

    def ready(self, which: Lane) -> bool:
        """Whether a job of this lane could start now."""
        return bool(self._ready[which])

    def first(self, which: Lane) -> Job | None:
        """The job of this lane that would be taken next."""
        return self._jobs[self._ready[which][0][1]] if self._ready[which] else None

    def take(self, *lanes: Lane) -> Job | None:
        """The first ready job of these lanes, which is then out; None if there is none."""
        heads = [(self._ready[each][0], each) for each in lanes if self._ready[each]]
        if not heads:
            return None
        _, first = min(heads)
        _, job_id = heapq.heappop(self._ready[first])
        self._out[job_id] = self._jobs[job_id]
        return self._jobs[job_id]

    def settle(self, job: Job, done: Iterable[CellId]) -> tuple[Cell, ...]:
        """A job that was out has ended; its cells that are ``done`` unlock others.

        Returns:
            The cells that can no longer run, because a cell of this job that they need is not done.
        """
        finished = set(done)
        self._jobs.pop(job.id, None)
        self._out.pop(job.id, None)
        self._cells -= {cell.id for cell in job.cells}
        for cell in finished:
            self._unlock(cell)
        lost = [cell.id for cell in job.cells if cell.id not in finished]
        own = {cell.id for cell in job.cells}
        blocked = {below: None for cell in lost for below in self._plan.descendants(cell) if below not in own}
        for cell_id in blocked:
            self._jobs.pop(cell_id, None)
        self._cells -= set(blocked)
        return tuple(self._plan.cells[cell_id] for cell_id in blocked)

    def _unlock(self, cell: CellId) -> None:
        for job_id in self._readers.pop(cell, ()):
            self._missing[job_id].discard(cell)
            if job_id in self._jobs and not self._missing[job_id]:
                self._make_ready(self._jobs[job_id])

    def _make_ready(self, job: Job) -> None:
        heapq.heappush(self._ready[lane(job.stage, self._resources)], (self._order[job.id], job.id))


def _unlocks(job: Job, plan: Plan) -> int:
    own = {cell.id for cell in job.cells}
    return sum(child not in own for cell in job.cells for child in plan.children.get(cell.id, ()))

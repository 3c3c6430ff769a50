"""Ray remote tasks: attacks and analyses of finished models."""

from __future__ import annotations

import math

import ray

from orchestrator.plan.jobs import Job
from orchestrator.run.context import local_contexts
from orchestrator.run.driver import Run
from orchestrator.run.execute import Work, failure_of
from orchestrator.run.place import Place
from orchestrator.run.queue import Lane
from orchestrator.run.wire import pack_job, pack_records, unpack_job, unpack_records
from orchestrator.study.model import Resources

MAX_RETRIES = 2
"""How often Ray restarts a task whose worker process died."""


def _run_task(job: str, place: Place, resources: Resources, work: Work) -> str:
    return pack_records(work(unpack_job(job), place, local_contexts(place, resources)))


class TaskPool:
    """Keeps as many tasks out as the cluster has room for.

    Args:
        run: whose queue it takes task jobs from.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._out: dict[ray.ObjectRef[str], Job] = {}
        # max_calls=0 keeps a worker process, and its imports, for the next task also when it holds a GPU.
        self._remote = ray.remote(max_retries=MAX_RETRIES, max_calls=0)(_run_task)
        self._place = ray.put(run.place)
        self._work = ray.put(run.work)

    def __bool__(self) -> bool:
        """Whether any task is out."""
        return bool(self._out)

    def poll(self, timeout: float = 0.0) -> None:
        """Collect tasks that have ended, waiting at most ``timeout`` seconds for the first, and start others."""
        if self._out:
            ended, _ = ray.wait(list(self._out), num_returns=1, timeout=timeout)
            for reference in ended:
                self._collect(reference)
        while self._run.queue.ready(Lane.TASK) and self._has_room():
            self._start()

    def drain(self) -> None:
        """Until no task is out and none can start."""
        self.poll()
        while self._out:
            self.poll(timeout=1.0)
            self._run.tick()

    def _has_room(self) -> bool:
        """Whether a task would start at once, or nearly: one waits, so that no CPU idles between two."""
        resources = self._run.resources.attack or self._run.resources.default
        free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
        room = math.floor(free.get("CPU", 0.0) / resources.cpus)
        if resources.gpus:
            room = min(room, math.floor(free.get("GPU", 0.0) / resources.gpus))
        return room > 0

    def _start(self) -> None:
        job = self._run.queue.take(Lane.TASK)
        assert job is not None
        resources = self._run.resources.of(job.stage)
        options = {"num_cpus": resources.cpus, "num_gpus": resources.gpus, "name": job.cells[0].name}
        reference = self._remote.options(**options).remote(pack_job(job), self._place, resources, self._work)
        self._out[reference] = job
        self._run.started(job)

    def _collect(self, reference: ray.ObjectRef[str]) -> None:
        job = self._out.pop(reference)
        try:
            records = unpack_records(ray.get(reference))
        except ray.exceptions.RayError as error:
            if isinstance(error, ray.exceptions.RayTaskError):
                self._run.lost(job, failure_of(error.cause))
            else:
                self._run.lost(job, failure_of(error, retryable=True))
        else:
            self._run.finish(job, records)

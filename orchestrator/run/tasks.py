"""Ray remote tasks: attacks and analyses of finished models."""

from __future__ import annotations

import ray

from orchestrator.plan.jobs import Job
from orchestrator.run.context import local_contexts
from orchestrator.run.driver import Run
from orchestrator.run.execute import Work, failure_of
from orchestrator.run.place import Place
from orchestrator.run.queue import Lane
from orchestrator.run.session import Cluster
from orchestrator.run.wire import pack_job, pack_records, unpack_job, unpack_records
from orchestrator.study.resources import Resources

MAX_RETRIES = 2
"""How often Ray restarts a task whose worker process died."""


def _run_task(job: str, place: Place, resources: Resources, work: Work) -> str:
    return pack_records(work(unpack_job(job), place, local_contexts(place, resources)))


class TaskPool:
    """Keeps as many tasks out as the cluster has room for.

    Args:
        run: whose queue it takes task jobs from.
        cluster: that they run on.
    """

    def __init__(self, run: Run, cluster: Cluster) -> None:
        self._run, self._cluster = run, cluster
        self._out: dict[ray.ObjectRef[str], Job] = {}
        # max_calls=0 keeps a worker process, and its imports, for the next task also when it holds a GPU.
        self._remote = ray.remote(max_retries=MAX_RETRIES, max_calls=0)(_run_task)
        self._place = ray.put(run.place)
        self._work = ray.put(run.work)

    def poll(self) -> None:
        """Beside trials: collect what has ended, and start what finds free resources at once."""
        self._collect(timeout=0.0)
        while (job := self._run.queue.first(Lane.TASK)) and self._free(job):
            self._start()

    def drain(self) -> None:
        """With nothing else running: as many at once as the cluster can hold, until no task is out or can start."""
        while self._out or self._run.queue.ready(Lane.TASK):
            while (job := self._run.queue.first(Lane.TASK)) and self._fits(job):
                self._start()
            self._collect(timeout=1.0)
            self._run.tick()

    def _free(self, job: Job) -> bool:
        resources = self._run.resources.of(job.stage)
        free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
        return free.get("CPU", 0.0) >= resources.cpus and free.get("GPU", 0.0) >= resources.gpus

    def _fits(self, job: Job) -> bool:
        return len(self._out) < self._cluster.at_once(self._run.resources.of(job.stage))

    def _start(self) -> None:
        job = self._run.queue.take(Lane.TASK)
        assert job is not None
        resources = self._run.resources.of(job.stage)
        options = {"num_cpus": resources.cpus, "num_gpus": resources.gpus, "name": job.cells[0].name}
        reference = self._remote.options(**options).remote(pack_job(job), self._place, resources, self._work)
        self._out[reference] = job
        self._run.started(job)

    def _collect(self, timeout: float) -> None:
        """File what has ended, waiting at most ``timeout`` seconds for the first."""
        if self._out:
            ended, _ = ray.wait(list(self._out), num_returns=1, timeout=timeout)
            for reference in ended:
                self._file(reference)

    def _file(self, reference: ray.ObjectRef[str]) -> None:
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

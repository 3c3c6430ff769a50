"""The executor on Ray: waves of Tune trials by resource class, with tasks beside and after them."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from typing import Any

from orchestrator.run.driver import Run
from orchestrator.run.queue import Lane
from orchestrator.run.session import connected
from orchestrator.study.model import Resources

DRIVER_MEMORY = 64 * 2**20
"""What the trial that drives a TorchTrainer asks for: memory but no CPU, or its workers could not all start."""

RETRIES = 2
"""How often Tune restarts a trial whose process died; the cell goes on from its last epoch."""


def run_on_ray(run: Run, address: str | None = None) -> None:
    """Run every job of the queue on a local Ray or on a cluster.

    One Tune run with reused processes carries all jobs that fit one device. Jobs that ask for a TorchTrainer run in
    Tune runs of their own between them, because idle reused processes would hold what its workers wait for.
    """
    if not run.queue:
        return
    with connected(address, run.resources) as cluster:
        from orchestrator.run.tasks import TaskPool

        tasks = TaskPool(run)
        while run.queue:
            if run.queue.ready(Lane.INLINE):
                _wave(run, Lane.INLINE, tasks, cluster)
            elif run.queue.ready(Lane.TRAIN):
                tasks.drain()
                _wave(run, Lane.TRAIN, tasks, cluster)
            else:
                tasks.drain()


def _wave(run: Run, which: Lane, tasks: Any, cluster: Mapping[str, float]) -> None:
    from ray import tune

    from orchestrator.run.search import PlanSearch, Progress

    search = PlanSearch(run, which)
    tuner = tune.Tuner(
        _trainable(run, which),
        tune_config=tune.TuneConfig(
            search_alg=search,
            num_samples=-1,
            reuse_actors=which is Lane.INLINE,
            max_concurrent_trials=_concurrent(run, which, cluster),
        ),
        run_config=tune.RunConfig(
            name=f"{which}-{uuid.uuid4().hex[:8]}",
            storage_path=str(run.place.scratch),
            verbose=0,
            callbacks=[Progress(search, run, tasks)],
            failure_config=tune.FailureConfig(max_failures=RETRIES),
        ),
    )
    try:
        tuner.fit()
    finally:
        shutil.rmtree(run.place.scratch, ignore_errors=True)


def _trainable(run: Run, which: Lane) -> Any:
    from ray import tune

    from orchestrator.run.train import distributed_trial
    from orchestrator.run.trial import trial

    function = trial if which is Lane.INLINE else distributed_trial
    bundle = _inline_bundle if which is Lane.INLINE else _driver_bundle
    return tune.with_resources(tune.with_parameters(function, place=run.place, work=run.work), bundle)


def _inline_bundle(config: dict[str, Any]) -> Any:
    from ray.tune import PlacementGroupFactory

    resources = Resources.model_validate(config["resources"])
    return PlacementGroupFactory([{"CPU": resources.cpus} | ({"GPU": resources.gpus} if resources.gpus else {})])


def _driver_bundle(config: dict[str, Any]) -> Any:
    from ray.tune import PlacementGroupFactory

    del config
    return PlacementGroupFactory([{"memory": DRIVER_MEMORY}])


def _concurrent(run: Run, which: Lane, cluster: Mapping[str, float]) -> int:
    """How many trials fit the cluster at once, by the smallest request of this lane."""
    stages = [s for s in ("train", "adapt") if run.resources.of(s).distributed == (which is Lane.TRAIN)]
    fits = [_fits(run.resources.of(stage), cluster, which) for stage in stages or ["train"]]
    return max(1, *fits)


def _fits(resources: Resources, cluster: Mapping[str, float], which: Lane) -> int:
    workers = resources.workers if which is Lane.TRAIN else 1
    by_cpu = cluster.get("CPU", 1.0) / (resources.cpus * workers)
    by_gpu = cluster.get("GPU", 0.0) / (resources.gpus * workers) if resources.gpus else by_cpu
    return int(min(by_cpu, by_gpu))

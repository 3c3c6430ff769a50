"""The executor on Ray: waves of Tune trials by resource class, with tasks beside and after them."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING, Any

from orchestrator.run.driver import Run
from orchestrator.run.queue import Lane
from orchestrator.run.session import Cluster, connected
from orchestrator.study.resources import Resources

if TYPE_CHECKING:
    from orchestrator.run.tasks import TaskPool

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

        tasks = TaskPool(run, cluster)
        while run.queue:
            if run.ready(Lane.INLINE):
                _wave(run, Lane.INLINE, tasks, cluster)
            elif run.ready(Lane.TRAIN):
                tasks.drain()
                _wave(run, Lane.TRAIN, tasks, cluster)
            else:
                tasks.drain()


def _wave(run: Run, which: Lane, tasks: TaskPool, cluster: Cluster) -> None:
    from ray import tune

    from orchestrator.run.search import Heeding, PlanSearch, Progress

    search = PlanSearch(run, which)
    tuner = tune.Tuner(
        _trainable(run, which),
        tune_config=tune.TuneConfig(
            search_alg=search,
            scheduler=Heeding(run),
            num_samples=-1,
            reuse_actors=which is Lane.INLINE,
            max_concurrent_trials=_concurrent(run, which, cluster),
        ),
        run_config=tune.RunConfig(
            name=f"{which}-{uuid.uuid4().hex[:8]}",
            storage_path=str(run.place.scratch),
            verbose=0,
            # Beside worker groups no task is started: it could take a CPU that a group waits for.
            callbacks=[Progress(search, run, tasks if which is Lane.INLINE else None)],
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


def _concurrent(run: Run, which: Lane, cluster: Cluster) -> int:
    """How many trials may be out at once, by the smallest request of this lane."""
    asked = [run.resources.of(stage) for stage in ("train", "adapt")]
    lane = [each for each in asked if each.distributed == (which is Lane.TRAIN)] or asked
    return max(cluster.at_once(each, each.workers if which is Lane.TRAIN else 1) for each in lane)

"""Ray Train wiring: a job whose model is trained by several workers, or by one in a process group of its own."""

from __future__ import annotations

import time
from typing import Any

from orchestrator.run.context import worker_contexts
from orchestrator.run.execute import Work
from orchestrator.run.place import Place
from orchestrator.run.wire import pack_records, unpack_job
from orchestrator.store.records import Status
from orchestrator.study.resources import Resources

GRACE = 5.0
"""Seconds, more than Ray Train takes to notice that a worker died: what fails because another died fails later."""


class CellFailedError(Exception):
    """A worker's cell raised: carries the packed records, and ends the other workers, who wait for this one."""


def distributed_trial(config: dict[str, Any], *, place: Place, work: Work) -> None:
    """A light Tune trainable that drives one TorchTrainer and reports the records its first worker left.

    A cell that raised is reported as failed. A worker that died fails the trial: Tune starts it again, and the cell
    goes on from its last epoch.
    """
    from ray import tune
    from ray.train import WorkerGroupError

    try:
        records = _trainer(config, place, work).fit().return_value
    except WorkerGroupError as error:
        failures = [failure for _, failure in sorted(error.worker_failures.items())]
        if not all(isinstance(failure, CellFailedError) for failure in failures):
            raise
        records = str(failures[0])
    tune.report({"records": records})


def _trainer(config: dict[str, Any], place: Place, work: Work) -> Any:
    import ray.train
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    resources = Resources.model_validate(config["resources"])
    progress: Any = TuneReportCallback()  # type: ignore[no-untyped-call]
    return TorchTrainer(
        _worker,
        train_loop_config={"job": config["job"], "place": place, "resources": resources, "work": work},
        torch_config=TorchConfig(backend="nccl" if resources.gpus else "gloo"),
        scaling_config=ray.train.ScalingConfig(
            num_workers=resources.workers,
            use_gpu=bool(resources.gpus),
            resources_per_worker={"CPU": resources.cpus} | ({"GPU": resources.gpus} if resources.gpus else {}),
        ),
        run_config=ray.train.RunConfig(
            name=unpack_job(config["job"]).id,
            storage_path=str(place.scratch),
            failure_config=ray.train.FailureConfig(max_failures=0),  # Tune restarts a trial, a preempted node Ray Train
            callbacks=[progress],
        ),
    )


def _worker(config: dict[str, Any]) -> Any:
    import ray.train

    place: Place = config["place"]
    job = unpack_job(config["job"])
    worker = ray.train.get_context()
    first = worker.get_world_rank() == 0
    # Only the model's cell is a joint effort; the first worker scores it while it is on its device.
    cells = job.cells if first else job.cells[:1]
    records = config["work"](type(job)(cells, job.needs), place, worker_contexts(place, config["resources"]))
    if worker.get_world_size() > 1 and records[0].status is Status.FAILED:
        time.sleep(GRACE)
        raise CellFailedError(pack_records(records))
    return pack_records(records) if first else None

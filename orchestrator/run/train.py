"""Ray Train wiring: a job whose model is trained by several workers, or by one in a process group of its own."""

from __future__ import annotations

from typing import Any

from orchestrator.run.context import worker_contexts
from orchestrator.run.execute import Work
from orchestrator.run.place import Place
from orchestrator.run.wire import pack_records, unpack_job
from orchestrator.study.model import Resources

MAX_FAILURES = 2
"""How often a worker group is restarted after a crash; it goes on from the cell's last epoch."""


def distributed_trial(config: dict[str, Any], *, place: Place, work: Work) -> None:
    """A light Tune trainable that drives one TorchTrainer and reports the records its first worker left."""
    import ray.train
    from ray import tune
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.tune.integration.ray_train import TuneReportCallback

    resources = Resources.model_validate(config["resources"])
    job = unpack_job(config["job"])
    progress: Any = TuneReportCallback()  # type: ignore[no-untyped-call]
    trainer = TorchTrainer(
        _worker,
        train_loop_config={"job": config["job"], "place": place, "resources": resources, "work": work},
        torch_config=TorchConfig(backend="nccl" if resources.gpus else "gloo"),
        scaling_config=ray.train.ScalingConfig(
            num_workers=resources.workers,
            use_gpu=bool(resources.gpus),
            resources_per_worker={"CPU": resources.cpus} | ({"GPU": resources.gpus} if resources.gpus else {}),
        ),
        run_config=ray.train.RunConfig(
            name=job.id,  # the same after a restart
            storage_path=str(place.storage / "train"),
            failure_config=ray.train.FailureConfig(max_failures=MAX_FAILURES),
            callbacks=[progress],
        ),
    )
    result: Any = trainer.fit()
    tune.report({"records": result.return_value})


def _worker(config: dict[str, Any]) -> Any:
    import ray.train

    place: Place = config["place"]
    job = unpack_job(config["job"])
    rank = ray.train.get_context().get_world_rank()
    # Only the model's cell is a joint effort; the first worker scores it while it is on its device.
    cells = job.cells if rank == 0 else job.cells[:1]
    records = config["work"](type(job)(cells, job.needs), place, worker_contexts(place, config["resources"]))
    return pack_records(records) if rank == 0 else None

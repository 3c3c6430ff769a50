"""The contexts handed to trainables: alone, in a Tune trial, in a Ray Train worker."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.plan.cells import Cell
from orchestrator.run.place import Place
from orchestrator.study.resources import Resources
from trainables.context import LocalContext

if TYPE_CHECKING:
    from torch import nn

Report = Callable[[Cell, Mapping[str, float]], None]

FEATURES = "features"
"""Folder, within a node's cache of images, of what frozen networks make of them."""

REPORT_EVERY = 0.5
"""Seconds between two reports of one cell: a report costs a round trip to the driver, an epoch may take less."""

GROUP_REPORT_EVERY = 5.0
"""The same for a worker group: Ray Train collects a report every two seconds, and the next one waits for that."""


def local_contexts(place: Place, resources: Resources, report: Report | None = None) -> Callable[[Cell], LocalContext]:
    """Contexts for cells that run in this process alone; what they report goes to ``report``, now and then."""

    def context_for(cell: Cell) -> LocalContext:
        return LocalContext(
            device=_device(resources),
            folder=place.folder(cell.id),
            seed=cell.tags.seed,
            cache=place.cache / FEATURES,
            **_computing(resources),
            on_report=_throttled(lambda row: report(cell, row)) if report else None,
        )

    return context_for


@dataclass(kw_only=True)
class TrainContext(LocalContext):
    """One of several processes that train one model together, in a Ray Train worker group."""

    told: float = -math.inf

    def prepare(self, module: nn.Module) -> nn.Module:
        """The module on this worker's device, its gradients averaged over all workers."""
        import ray.train.torch

        # Each worker keeps the BatchNorm statistics of its own batches; the fit loop averages them at an epoch's end.
        kwargs = {"broadcast_buffers": False} if self.world_size > 1 else None
        prepared: nn.Module = ray.train.torch.prepare_model(self.laid_out(module), parallel_strategy_kwargs=kwargs)
        return prepared

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        """The values of every rank, in rank order."""
        if self.world_size == 1:
            return values
        from torch import distributed

        parts: list[Any] = [None] * self.world_size
        distributed.all_gather_object(parts, values)
        return np.concatenate(parts)

    def report(self, row: Mapping[str, float]) -> None:
        """Report in all workers or in none, as Ray Train wants it: by the first worker's clock, now and then."""
        now = time.monotonic()
        if self.gather(np.array([now - self.told]))[0] >= GROUP_REPORT_EVERY:
            self.told = now
            super().report(row)

    def save_state(self, state: Any) -> None:
        """The first worker keeps the state for all."""
        if self.rank == 0:
            super().save_state(state)


def worker_contexts(place: Place, resources: Resources) -> Callable[[Cell], TrainContext]:
    """Contexts for cells in a Ray Train worker; rank and world size are the worker group's."""
    import ray.train

    worker = ray.train.get_context()

    def context_for(cell: Cell) -> TrainContext:
        return TrainContext(
            device=_worker_device(resources),
            folder=place.folder(cell.id),
            seed=cell.tags.seed,
            cache=place.cache / FEATURES,
            **_computing(resources),
            rank=worker.get_world_rank(),
            world_size=worker.get_world_size(),
            on_report=lambda row: ray.train.report({"cell": cell.id, "row": dict(row)}),
        )

    return context_for


def _computing(resources: Resources) -> dict[str, Any]:
    """How a fit computes, as the context has it."""
    return resources.model_dump(include={"accumulate", "precision", "channels_last"})


def _device(resources: Resources) -> str:
    import torch

    torch.set_num_threads(max(1, int(resources.cpus)))
    if not resources.gpus or not torch.cuda.is_available():
        return "cpu"
    if resources.gpus < 1:
        torch.cuda.set_per_process_memory_fraction(resources.gpus)
    return "cuda:0"


def _worker_device(resources: Resources) -> str:
    """This worker's device: workers of one node see the GPUs of all of them, and each has its own."""
    device = _device(resources)
    if device == "cpu":
        return device
    import ray.train.torch

    return str(ray.train.torch.get_device())


def _throttled(report: Callable[[Mapping[str, float]], None]) -> Callable[[Mapping[str, float]], None]:
    last = 0.0

    def sometimes(row: Mapping[str, float]) -> None:
        nonlocal last
        if time.monotonic() - last >= REPORT_EVERY:
            last = time.monotonic()
            report(row)

    return sometimes

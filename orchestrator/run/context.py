"""The contexts handed to trainables: alone, in a Tune trial, in a Ray Train worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.plan.cells import Cell
from orchestrator.run.place import Place
from orchestrator.study.model import Resources

if TYPE_CHECKING:
    from torch import nn
    from trainables.context import LocalContext

Report = Callable[[Cell, Mapping[str, float]], None]

REPORT_EVERY = 0.5
"""Seconds between two reports of one cell: a report costs a round trip to the driver, an epoch may take less."""


def local_contexts(place: Place, resources: Resources, report: Report | None = None) -> Callable[[Cell], LocalContext]:
    """Contexts for cells that run in this process alone; what they report goes to ``report``, now and then."""

    def context_for(cell: Cell) -> LocalContext:
        import torch
        from trainables.context import LocalContext

        torch.set_num_threads(max(1, int(resources.cpus)))
        return LocalContext(
            device=_device(resources),
            folder=place.folder(cell.id),
            seed=_seed(cell),
            on_report=_throttled(lambda row: report(cell, row)) if report else None,
        )

    return context_for


def worker_contexts(place: Place, resources: Resources) -> Callable[[Cell], LocalContext]:
    """Contexts for cells in a Ray Train worker; rank and world size are the worker group's."""

    def context_for(cell: Cell) -> LocalContext:
        import ray.train
        import torch

        torch.set_num_threads(max(1, int(resources.cpus)))
        worker = ray.train.get_context()
        return _train_context_type()(
            device=_device(resources),
            folder=place.folder(cell.id),
            seed=_seed(cell),
            rank=worker.get_world_rank(),
            world_size=worker.get_world_size(),
            on_report=lambda row: ray.train.report({"cell": cell.id, "row": dict(row)}),
        )

    return context_for


def _train_context_type() -> type[LocalContext]:
    from dataclasses import dataclass

    from trainables.context import LocalContext

    @dataclass
    class TrainContext(LocalContext):
        """One of several processes that train one model together, under torch.distributed."""

        def prepare(self, module: nn.Module) -> nn.Module:
            import ray.train.torch

            return ray.train.torch.prepare_model(module)

        def gather(self, values: NDArray[Any]) -> NDArray[Any]:
            if self.world_size == 1:
                return values
            import torch.distributed as dist

            parts: list[Any] = [None] * self.world_size
            dist.all_gather_object(parts, values)
            return np.concatenate(parts)

    return TrainContext


def _device(resources: Resources) -> str:
    import torch

    if resources.gpus and torch.cuda.is_available():
        if resources.gpus < 1:
            torch.cuda.set_per_process_memory_fraction(resources.gpus)
        return "cuda:0"
    return "cpu"


def _seed(cell: Cell) -> int:
    return cell.tags.seed


def _throttled(report: Callable[[Mapping[str, float]], None]) -> Callable[[Mapping[str, float]], None]:
    last = 0.0

    def sometimes(row: Mapping[str, float]) -> None:
        nonlocal last
        if time.monotonic() - last >= REPORT_EVERY:
            last = time.monotonic()
            report(row)

    return sometimes

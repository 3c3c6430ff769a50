"""One epoch of a fit: the steps over the source, the gradients each takes, and what they tell."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from trainables.batches import Batch, Order
from trainables.contract import Context, Images, Unlabelled
from trainables.detector import as_input
from trainables.errors import InputError
from trainables.freezing import train_mode
from trainables.norms import still_statistics
from trainables.objective import Objective, TrainStep
from trainables.prefetch import DEPTH, ahead, pays, ready
from trainables.recipe import Recipe
from trainables.sharpness import uphill

Row = dict[str, float]
Rate = Callable[[float], float]
"""Learning rate by the share of the whole training that is done."""
_Part = tuple[Tensor, Tensor, Tensor]
"""(B, H, W, 3) uint8 of source and target images, (B_s,) labels of the source's, (B_t,) positions of the target's."""


class DivergedError(RuntimeError):
    """The loss became infinite or not a number; trying again with the same parameters will not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Everything an epoch needs."""

    model: nn.Module
    step: TrainStep
    objective: Objective
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    recipe: Recipe
    order: Order
    source: Images
    target: Unlabelled | None
    context: Context

    def epoch(self, epoch: int, rate: Rate) -> Row:
        """One pass over the source: mean of every term, learning rate at the start, seconds and images a second."""
        train_mode(self.model)
        started = time.perf_counter()
        told = self._before(epoch)
        sums: dict[str, Tensor] = {}
        with ahead(self._steps(epoch), DEPTH if self._reads_ahead else 0) as steps:
            for number, parts in enumerate(steps, start=epoch * self.order.steps):
                progress = number / (self.recipe.epochs * self.order.steps)
                figures = self._step(parts, progress, rate(progress))
                # Summed on the device and read once an epoch: a GPU never waits for the loop.
                sums = {name: value + sums[name] if sums else value for name, value in figures.items()}
        row = _apart(told, _means(sums, self.order.steps, self.context))
        at_start = rate(epoch / self.recipe.epochs)
        if not all(math.isfinite(value) for value in row.values()):
            raise DivergedError(f"the loss is not finite in epoch {epoch + 1}: {row}; learning rate {at_start:g}")
        seconds = time.perf_counter() - started
        return {**row, "learning_rate": at_start, "seconds": seconds, "images_per_second": self.images / seconds}

    def _before(self, epoch: int) -> Row:
        """What the objective has to say and to do before the epoch."""
        rows = [call(self.step.detector, epoch) for call in self.objective.before_epoch]
        return {name: float(value) for name, value in _apart(*rows).items()}

    @property
    def images(self) -> int:
        """Images that pass through the model in an epoch, over all workers."""
        return self.order.steps * self.order.size * (1 if self.target is None else 2)

    @property
    def _reads_ahead(self) -> bool:
        sets: list[Images | Unlabelled] = [self.source] if self.target is None else [self.source, self.target]
        return self.recipe.augment.active or any(pays(images.pixels, self.context.device) for images in sets)

    def _steps(self, epoch: int) -> Iterator[list[_Part]]:
        """The images of every step, in as many parts as there is memory for; may be read in another thread."""
        for of_source, of_target in self.order.epoch(epoch):
            count = max(1, min(self.context.accumulate, len(of_source.index) // 2))
            of_targets = of_target.parts(count) if of_target else [None] * count
            yield [self._part(*pair) for pair in zip(of_source.parts(count), of_targets, strict=True)]

    def _part(self, of_source: Batch, of_target: Batch | None) -> _Part:
        pixels = of_source.of(self.source.pixels)
        if self.target is not None and of_target is not None:
            pixels = np.concatenate([pixels, of_target.of(self.target.pixels)])
        labels = torch.from_numpy(self.source.labels[of_source.index])
        positions = np.empty(0, dtype=np.int64) if of_target is None else of_target.index
        return ready(pixels, self.context.device), labels, torch.from_numpy(positions)

    def _step(self, parts: Sequence[_Part], progress: float, rate: float) -> dict[str, Tensor]:
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        total = sum(len(labels) for _, labels, _ in parts)
        sums: dict[str, Tensor] = {}
        for part in parts:
            share = len(part[1]) / total
            figures = self._gradients(part, progress, share)
            sums = {name: value * share + sums[name] if sums else value * share for name, value in figures.items()}
        self.scaler.step(self.optimiser)
        self.scaler.update()
        for call in self.objective.after_step:
            call(self.step.detector, self.optimiser)
        return sums

    def _gradients(self, part: _Part, progress: float, share: float) -> Mapping[str, Tensor]:
        """Add this part's share of the step's gradients; its loss terms."""
        device = self.context.device
        pixels, labels, positions = part
        labels, positions = (tensor.to(device, non_blocking=True) for tensor in (labels, positions))
        step = as_input(pixels, device), labels, progress, positions
        with self._where_gradients_are_taken(lambda: self.step(*step, only=self.objective.uphill_of)[0]):
            loss, figures = self.model(*step)
            self.scaler.scale(loss * share).backward()
        terms: Mapping[str, Tensor] = figures
        return terms

    @contextmanager
    def _where_gradients_are_taken(self, task: Callable[[], Tensor]) -> Iterator[None]:
        """Where the parameters stand; if the objective asks for sharpness, uphill of the task alone."""
        detector, rho = self.step.detector, self.objective.sharpness
        if not rho:
            yield
            return
        with uphill(detector.parameters(), task, rho), still_statistics(detector):
            yield


def _apart(*rows: Mapping[str, float]) -> Row:
    """The rows as one.

    Raises:
        InputError: two methods tell a figure of one name.
    """
    names = [name for row in rows for name in row]
    if both := sorted({name for name in names if names.count(name) > 1}):
        raise InputError("two methods tell a figure of one name", value=both, fix="leave one of them out")
    return {name: value for row in rows for name, value in row.items()}


def _means(sums: Mapping[str, Tensor], steps: int, context: Context) -> Row:
    local = torch.stack(list(sums.values())).double().cpu().numpy() / steps
    return dict(zip(sums, context.gather(local[None]).mean(axis=0).tolist(), strict=True))

"""The fit loop: every detector is trained, and every adaptation that trains is run, by this one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from trainables.batches import Batch, Order
from trainables.contract import FAKE, Context, Images, Outcome, Precision, Unlabelled
from trainables.detector import Detector, as_input
from trainables.errors import InputError
from trainables.freezing import only, train_mode
from trainables.metrics import detection_metrics
from trainables.norms import still_statistics
from trainables.objective import SUPERVISED, Objective, TrainStep
from trainables.prefetch import DEPTH, ahead, pays, ready
from trainables.recipe import Recipe
from trainables.schedule import finished, learning_rate
from trainables.score import log_odds, part_of, seen_whole
from trainables.seeding import seeded
from trainables.selection.rule import Rule
from trainables.sharpness import uphill
from trainables.supervision import supervised

Row = dict[str, float]
Rate = Callable[[float], float]
"""Learning rate by the share of the whole training that is done."""
_Part = tuple[Tensor, Tensor, Tensor]
"""(B, H, W, 3) uint8 of source and target images, (B_s,) labels of the source's, (B_t,) positions of the target's."""


class DivergedError(RuntimeError):
    """The loss became infinite or not a number; trying again with the same parameters will not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """How a fit went.

    Attributes:
        curves: one row an epoch.
        chosen: position of the epoch whose weights the detector now has.
        images: how many passed through the model in training.
    """

    curves: tuple[Mapping[str, float], ...]
    chosen: int
    images: int

    def outcome(self) -> Outcome:
        """As a stage hands it back: the chosen epoch's validation figures, and all curves."""
        row = self.curves[self.chosen]
        figures = {f"source_{name}": value for name, value in row.items() if name.startswith("val_")}
        return Outcome(metrics={**figures, "epoch": row["epoch"]}, curves=self.curves, images=self.images)


class Trained(Protocol):
    """The config of a member that trains."""

    @property
    def recipe(self) -> Recipe: ...


def train(config: Trained, detector: Detector, source: Images, source_val: Images, context: Context) -> Outcome:
    """Supervised training of a fresh detector on the source: the train stage."""
    return fit(detector, SUPERVISED, config.recipe, source, source_val, context).outcome()


def fit(
    detector: Detector,
    objective: Objective,
    recipe: Recipe,
    source: Images,
    source_val: Images,
    context: Context,
    *,
    target: Unlabelled | None = None,
    select: Rule | None = None,
) -> Fitted:
    """Train a detector in place; it ends with the weights of the epoch that the rule selects.

    Source and target images pass through the network together, as many of one as of the other, so BatchNorm sees
    both; the target is cycled through. On a CPU the result is a function of the arguments and ``context.seed`` to
    the last bit, also where the fit was interrupted and went on from the context's state.

    Args:
        source: labelled images; an epoch is one pass over them.
        source_val: labelled images for the curves and the selection.
        target: unlabelled images; without them the objective has no target features to ask for.
        select: which epoch's weights are kept; the one that the study's rule chooses if not given.

    Raises:
        InputError: too few images, or a batch that the workers cannot share equally.
        DivergedError: the loss is not finite.
    """
    order = _order(recipe, source, target, context)
    select = select or context.rule
    objective = supervised(objective, recipe, source.labels, detector.classes)
    with only(detector, objective.trainable(detector) if objective.trainable else None):
        step = TrainStep(detector, objective)
        _compute_in(context.precision, step)
        model = context.prepare(step)
        optimiser, scaler = _optimiser(recipe, step), _scaler(context)
        training = _Training(
            model=model,
            step=step,
            objective=objective,
            optimiser=optimiser,
            scaler=scaler,
            recipe=recipe,
            order=order,
            source=source,
            target=target,
            context=context,
        )
        curves, best = _resume(step, optimiser, scaler, context)
        saving = Saving()
        while not finished(recipe, curves):
            epoch = len(curves)
            with seeded(context.seed, "epoch", epoch, context.rank):
                row = training.epoch(epoch, learning_rate(recipe, curves))
            _agree(step, context)
            # The rule's figure comes last: it is under the rule's name, whatever a method calls its terms.
            judged = {**_validation(detector, source_val, context), **context.watch(detector)}
            curves.append({"epoch": epoch + 1.0, **row, **judged})
            if select(curves) == epoch:
                best = {name: tensor.detach().clone() for name, tensor in detector.state_dict().items()}
            if not finished(recipe, curves):
                saving.now_and_then(partial(_save, step, optimiser, scaler, curves, best, context))
            context.report(curves[-1])
        detector.load_state_dict(best)
        return Fitted(curves=tuple(curves), chosen=select(curves), images=len(curves) * training.images)


class Saving:
    """Saves often enough to lose little, and seldom enough to cost little: a tenth of the time at the most."""

    SHARE = 0.1

    def __init__(self) -> None:
        self._last = -math.inf
        self._cost = 0.0

    def now_and_then(self, save: Callable[[], None]) -> None:
        """Save, unless it was done so lately that its cost would be felt."""
        started = time.perf_counter()
        if started - self._last < self._cost / self.SHARE:
            return
        save()
        self._last = time.perf_counter()
        self._cost = self._last - started


def _order(recipe: Recipe, source: Images, target: Unlabelled | None, context: Context) -> Order:
    order = Order(
        seed=context.seed,
        count=len(source),
        batch=recipe.batch,
        target=0 if target is None else len(target),
        flips=recipe.flips,
        augment=recipe.augment,
        rank=context.rank,
        world_size=context.world_size,
    )
    if recipe.batch % context.world_size:
        raise InputError(
            f"{context.world_size} workers cannot share a batch equally",
            value=f"batch: {recipe.batch}",
            fix="make `recipe.batch` a multiple of `workers`",
        )
    if order.size < 2 * context.world_size or (target is not None and not len(target)):
        found = f"{len(source)} source images" + ("" if target is None else f", {len(target)} target images")
        raise InputError("too few images to train on", value=found, fix="give each worker two source images at least")
    return order


def _optimiser(recipe: Recipe, module: nn.Module) -> torch.optim.Optimizer:
    parameters = [p for p in module.parameters() if p.requires_grad]
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=0.9, nesterov=True, fused=True)
    kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    return kind(parameters, lr=rate, betas=recipe.betas, weight_decay=decay, fused=True)


def _scaler(context: Context) -> torch.amp.GradScaler:
    """Keeps small gradients above zero in half precision (Micikevicius et al. 2018, arXiv 1710.03740); else idle."""
    return torch.amp.GradScaler(torch.device(context.device).type, enabled=context.precision == "fp16")


def _compute_in(precision: Precision, step: TrainStep) -> None:
    """The detector's precision, and that of its teachers."""
    for part in step.modules():
        if isinstance(part, Detector):
            part.precision = precision


@dataclass(frozen=True, slots=True, kw_only=True)
class _Training:
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


def _agree(module: nn.Module, context: Context) -> None:
    """Average the buffers over all workers: gradients are shared, BatchNorm's running statistics are not."""
    buffers = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
    if context.world_size == 1 or not buffers:
        return
    flat = nn.utils.parameters_to_vector(buffers).cpu().numpy()
    mean = torch.from_numpy(context.gather(flat[None]).mean(axis=0)).to(buffers[0])
    nn.utils.vector_to_parameters(mean, buffers)


def _validation(detector: Detector, images: Images, context: Context) -> Row:
    """Accuracy, AUROC and cross-entropy on held-out source images, each worker scoring its part."""
    found = log_odds(detector, part_of(images.pixels, context), context.device)
    z = context.gather(found).astype(np.float64)
    z, labels = seen_whole(z, images.views, images.top), np.minimum(images.labels[:: images.views], FAKE)
    figures = detection_metrics(labels, 1 / (1 + np.exp(-z)))
    loss = np.logaddexp(0, np.where(labels == 1, -z, z)).mean()
    kept = {f"val_{name}": figures[name] for name in ("accuracy", "auroc") if name in figures}
    return {**kept, "val_loss": float(loss)}


def _save(
    step: TrainStep,
    optimiser: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    curves: list[Row],
    best: dict[str, Tensor],
    context: Context,
) -> None:
    trained = {"model": step.state_dict(), "optimiser": optimiser.state_dict(), "scaler": scaler.state_dict()}
    context.save_state({**trained, "curves": curves, "best": best})


def _resume(
    step: TrainStep, optimiser: torch.optim.Optimizer, scaler: torch.amp.GradScaler, context: Context
) -> tuple[list[Row], dict[str, Tensor]]:
    state = context.load_state()
    if state is None:
        return [], {}
    step.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    for parameter, kept in optimiser.state.items():
        # A state is kept row by row; a fused step wants moments to lie in memory as their parameters do.
        kept.update({name: _laid_out_as(parameter, value) for name, value in kept.items()})
    scaler.load_state_dict(state["scaler"])
    return state["curves"], state["best"]


def _laid_out_as(parameter: Tensor, value: Any) -> Any:
    same = isinstance(value, Tensor) and value.shape == parameter.shape
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value) if same else value

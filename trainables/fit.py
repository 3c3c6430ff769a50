"""The fit loop: every detector is trained, and every adaptation that trains is run, by this one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.batches import Batch, Order
from trainables.contract import Context, Images, Outcome, Unlabelled
from trainables.detector import Detector, as_input
from trainables.errors import InputError
from trainables.metrics import detection_metrics
from trainables.recipe import Recipe
from trainables.score import log_odds
from trainables.seeding import seeded
from trainables.selection import Rule, source_val

Row = dict[str, float]


class DivergedError(RuntimeError):
    """The loss became infinite or not a number; trying again with the same parameters will not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What the terms of an objective see of one step.

    Attributes:
        features, logits, labels: (B, D), (B, C) and (B,) of the labelled source images.
        target_features, target_logits: (B, D) and (B, C) of as many unlabelled target images.
        progress: share of the whole training that is done, in [0, 1).
        figures: scalars for the epoch's row that are no part of the loss; a term may add to it.
    """

    features: Tensor
    logits: Tensor
    labels: Tensor
    target_features: Tensor
    target_logits: Tensor
    progress: float
    figures: dict[str, Tensor] = field(default_factory=dict)


Term = Callable[[Step], Tensor]


def classification(step: Step) -> Tensor:
    """Cross-entropy on the labelled source images."""
    return functional.cross_entropy(step.logits, step.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What is minimised: the sum of named terms, each with its weight in it.

    Attributes:
        terms: name → term; the names are the curves' columns.
        modules: trained together with the detector (a domain discriminator), and dropped afterwards.
    """

    terms: Mapping[str, Term]
    modules: Mapping[str, nn.Module] = field(default_factory=dict)


SUPERVISED = Objective(terms={"classification": classification})


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


def train(config: Trained, detector: Detector, train: Images, val: Images, context: Context) -> Outcome:
    """Supervised training of a fresh detector on the source: the train stage."""
    return fit(detector, SUPERVISED, config.recipe, train, val, context).outcome()


def fit(
    detector: Detector,
    objective: Objective,
    recipe: Recipe,
    source: Images,
    source_val: Images,
    context: Context,
    *,
    target: Unlabelled | None = None,
    select: Rule = source_val,
    checkpoint_every: int = 1,
) -> Fitted:
    """Train a detector in place; it ends with the weights of the epoch that the rule selects.

    Source and target images pass through the network together, as many of one as of the other, so BatchNorm sees
    both; the target is cycled through. On a CPU the result is a function of the arguments and ``context.seed`` to
    the last bit, also where the fit was interrupted and went on from the context's state.

    Args:
        source: labelled images; an epoch is one pass over them.
        source_val: labelled images for the curves and the selection.
        target: unlabelled images; without them the objective has no target features to ask for.
        select: which epoch's weights are kept.
        checkpoint_every: epochs between two saved states.

    Raises:
        InputError: too few images, or a batch that the workers cannot share equally.
        DivergedError: the loss is not finite.
    """
    order = _order(recipe, source, target, context)
    step = _TrainStep(detector, objective)
    model = context.prepare(step)
    optimiser = _optimiser(recipe, step)
    curves, best = _resume(step, optimiser, context)
    for epoch in range(len(curves), recipe.epochs):
        with seeded(context.seed, "epoch", epoch, context.rank):
            row = _epoch(model, optimiser, recipe, order, epoch, source, target, context)
        _agree(step, context)
        curves.append({"epoch": epoch + 1.0, **row, **_validation(detector, source_val, context)})
        if select(curves) == epoch:
            best = {name: tensor.detach().clone() for name, tensor in detector.state_dict().items()}
        if (epoch + 1) % checkpoint_every == 0 or epoch + 1 == recipe.epochs:
            context.save_state(_state(step, optimiser, curves, best))
        context.report(curves[-1])
    detector.load_state_dict(best)
    images = recipe.epochs * order.steps * order.size * (2 if target is not None else 1)
    return Fitted(curves=tuple(curves), chosen=select(curves), images=images)


class _TrainStep(nn.Module):
    """A whole step as one module, for data parallelism must see every parameter in one forward call."""

    def __init__(self, detector: Detector, objective: Objective) -> None:
        super().__init__()
        self.detector = detector
        self.others = nn.ModuleDict(dict(objective.modules))
        self.terms = objective.terms

    def forward(self, images: Tensor, labels: Tensor, progress: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Source images first, one a label, then those of the target; to the loss, and what it is made of."""
        count = len(labels)
        features = self.detector.features(images)
        logits = self.detector.classify(features)
        step = Step(
            features=features[:count],
            logits=logits[:count],
            labels=labels,
            target_features=features[count:],
            target_logits=logits[count:],
            progress=progress,
        )
        terms = {name: term(step) for name, term in self.terms.items()}
        loss = torch.stack(list(terms.values())).sum()
        return loss, {name: value.detach() for name, value in {"loss": loss, **terms, **step.figures}.items()}


def _order(recipe: Recipe, source: Images, target: Unlabelled | None, context: Context) -> Order:
    order = Order(
        seed=context.seed,
        count=len(source),
        batch=recipe.batch,
        target=0 if target is None else len(target),
        flips=recipe.flips,
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
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
    return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=0.9, nesterov=True, fused=True)


def _learning_rate(recipe: Recipe, progress: float) -> float:
    if recipe.schedule == "constant":
        return recipe.learning_rate
    return recipe.learning_rate * (1 + math.cos(math.pi * progress)) / 2


def _epoch(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    recipe: Recipe,
    order: Order,
    epoch: int,
    source: Images,
    target: Unlabelled | None,
    context: Context,
) -> Row:
    """One pass over the source: mean of every term, learning rate at the start, seconds and images a second."""
    model.train()
    started = time.perf_counter()
    sums: dict[str, Tensor] = {}
    for number, (of_source, of_target) in enumerate(order.epoch(epoch), start=epoch * order.steps):
        progress = number / (recipe.epochs * order.steps)
        for group in optimiser.param_groups:
            group["lr"] = _learning_rate(recipe, progress)
        images = as_input(_pixels(source, of_source, target, of_target), context.device)
        labels = torch.from_numpy(source.labels[of_source.index]).to(context.device, non_blocking=True)
        loss, figures = model(images, labels, progress)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        # Summed on the device and read once an epoch: a GPU never waits for the loop.
        sums = {name: value + sums[name] if sums else value for name, value in figures.items()}
    row = _means(sums, order.steps, context)
    rate = _learning_rate(recipe, epoch / recipe.epochs)
    if not all(math.isfinite(value) for value in row.values()):
        raise DivergedError(f"the loss is not finite in epoch {epoch + 1}: {row}; learning rate {rate:g}")
    seconds = time.perf_counter() - started
    images_seen = order.steps * order.size * (2 if target is not None else 1)
    return {**row, "learning_rate": rate, "seconds": seconds, "images_per_second": images_seen / seconds}


def _pixels(
    source: Images, of_source: Batch, target: Unlabelled | None, of_target: Batch | None
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    pixels = of_source.of(source.pixels)
    if target is None or of_target is None:
        return pixels
    return np.concatenate([pixels, of_target.of(target.pixels)])


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
    bounds = np.linspace(0, len(images), context.world_size + 1).astype(int)
    mine = slice(bounds[context.rank], bounds[context.rank + 1])
    z = context.gather(log_odds(detector, images.pixels[mine], context.device)).astype(np.float64)
    figures = detection_metrics(images.labels, 1 / (1 + np.exp(-z)))
    loss = np.logaddexp(0, np.where(images.labels == 1, -z, z)).mean()
    kept = {f"val_{name}": figures[name] for name in ("accuracy", "auroc") if name in figures}
    return {**kept, "val_loss": float(loss)}


def _state(step: _TrainStep, optimiser: torch.optim.Optimizer, curves: list[Row], best: dict[str, Tensor]) -> Any:
    return {"model": step.state_dict(), "optimiser": optimiser.state_dict(), "curves": curves, "best": best}


def _resume(
    step: _TrainStep, optimiser: torch.optim.Optimizer, context: Context
) -> tuple[list[Row], dict[str, Tensor]]:
    state = context.load_state()
    if state is None:
        return [], {}
    step.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return state["curves"], state["best"]

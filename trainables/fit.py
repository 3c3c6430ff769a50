"""The fit loop: every detector is trained, and every adaptation that trains is run, by this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import nn

from trainables.batches import Order
from trainables.contract import Context, Images, Outcome, Unlabelled
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.freezing import only
from trainables.held_out import validated
from trainables.objective import SUPERVISED, Objective, TrainStep
from trainables.optimising import compute_in, optimiser_of, scaler_of
from trainables.recipe import Recipe
from trainables.saving import FitState, Saving
from trainables.schedule import finished, learning_rate
from trainables.seeding import seeded
from trainables.selection.rule import Rule
from trainables.stepping import Training
from trainables.supervision import supervised


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
    """The config of a member that trains, unless it is ready."""

    @property
    def recipe(self) -> Recipe: ...

    @property
    def ready(self) -> bool: ...


def train(config: Trained, detector: Detector, source: Images, source_val: Images, context: Context) -> Outcome:
    """The train stage: supervised training of a fresh detector on the source; of a ready one, its figures alone."""
    if config.ready:
        figures = validated(detector, source_val, context)
        metrics = {f"source_{name}": value for name, value in figures.items()}
        return Outcome(metrics={**metrics, "epoch": 0.0})
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
        compute_in(context.precision, step)
        model = context.prepare(step)
        optimiser, scaler = optimiser_of(recipe, step), scaler_of(context)
        training = Training(
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
        state = FitState(step=step, optimiser=optimiser, scaler=scaler, context=context)
        curves, best = state.resume()
        saving = Saving()
        while not finished(recipe, curves):
            epoch = len(curves)
            with seeded(context.seed, "epoch", epoch, context.rank):
                row = training.epoch(epoch, learning_rate(recipe, curves))
            _agree(step, context)
            # The rule's figure comes last: it is under the rule's name, whatever a method calls its terms.
            judged = {**validated(detector, source_val, context), **context.watch(detector)}
            curves.append({"epoch": epoch + 1.0, **row, **judged})
            if select(curves) == epoch:
                best = {name: tensor.detach().clone() for name, tensor in detector.state_dict().items()}
            if not finished(recipe, curves):
                saving.now_and_then(partial(state.save, curves, best))
            context.report(curves[-1])
        detector.load_state_dict(best)
        return Fitted(curves=tuple(curves), chosen=select(curves), images=len(curves) * training.images)


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


def _agree(module: nn.Module, context: Context) -> None:
    """Average the buffers over all workers: gradients are shared, BatchNorm's running statistics are not."""
    buffers = [buffer for buffer in module.buffers() if buffer.is_floating_point()]
    if context.world_size == 1 or not buffers:
        return
    flat = nn.utils.parameters_to_vector(buffers).cpu().numpy()
    mean = torch.from_numpy(context.gather(flat[None]).mean(axis=0)).to(buffers[0])
    nn.utils.vector_to_parameters(mean, buffers)

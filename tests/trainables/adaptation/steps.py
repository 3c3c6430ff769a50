"""One step of a training, by hand: what the terms of an objective are given, and fits of a single step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tests.trainables.toy import context
from trainables.contract import AdaptationData, Images
from trainables.detector import Detector, as_input
from trainables.fit import Fitted, fit
from trainables.objective import SUPERVISED, Objective, Step
from trainables.recipe import Recipe

ONE_STEP = Recipe(epochs=1, batch=16, optimiser="sgd", learning_rate=1e-2)
STILL = Recipe(epochs=1, batch=16, optimiser="sgd", learning_rate=1e-30)
"""One step, too small to change a bit of any weight."""


def step_of(detector: Detector, data: AdaptationData, *, progress: float = 0.5, count: int = 16) -> Step:
    """A step with the first images of source and target, the detector in training mode."""
    detector.train()
    images = as_input(np.concatenate([data.source_train.pixels[:count], data.target.pixels[:count]]))
    features = detector.features(images)
    logits = detector.classify(features)
    return Step(
        detector=detector,
        images=images[:count],
        features=features[:count],
        logits=logits[:count],
        labels=torch.from_numpy(data.source_train.labels[:count]),
        target_images=images[count:],
        target_features=features[count:],
        target_logits=logits[count:],
        target_index=torch.arange(count),
        progress=progress,
    )


def few_images(data: AdaptationData, count: int = 16) -> AdaptationData:
    """The same data with so few source images that an epoch is one step."""
    first: Images = data.source_train.take(np.arange(count))
    return replace(data, source_train=first)


def fit_one(
    detector: Detector, objectives: Iterable[Objective | None], data: AdaptationData, folder: Path, recipe: Recipe
) -> Fitted:
    """A fit with the task and these objectives."""
    objective = reduce(Objective.joined, [o for o in objectives if o is not None], SUPERVISED)
    return fit(detector, objective, recipe, data.source_train, data.source_val, context(folder), target=data.target)


def gradients(loss: torch.Tensor, module: nn.Module) -> torch.Tensor:
    """All gradients of the module's trained parameters in a row; zeros where one has none."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    pairs = zip(parameters, found, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in pairs])


def state(detector: Detector) -> torch.Tensor:
    """All of a detector's parameters and buffers in a row."""
    return torch.cat([value.flatten().double() for value in detector.state_dict().values()])

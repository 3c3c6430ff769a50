"""The optimiser that a recipe asks for, and the precision that it is computed in."""

from __future__ import annotations

import torch
from torch import nn

from trainables.contract import Context, Precision
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.recipe import Recipe


def optimiser_of(recipe: Recipe, module: nn.Module) -> torch.optim.Optimizer:
    """Over the module's parameters that want gradients.

    Raises:
        InputError: there are none.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    if not parameters:
        problem = "this detector has nothing that this method could train"
        raise InputError(problem, fix="leave the method out for this detector")
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=0.9, nesterov=True, fused=True)
    kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    return kind(parameters, lr=rate, betas=recipe.betas, weight_decay=decay, fused=True)


def scaler_of(context: Context) -> torch.amp.GradScaler:
    """Keeps small gradients above zero in half precision (Micikevicius et al. 2018, arXiv 1710.03740); else idle."""
    return torch.amp.GradScaler(torch.device(context.device).type, enabled=context.precision == "fp16")


def compute_in(precision: Precision, step: nn.Module) -> None:
    """The detector's precision, and that of its teachers."""
    for part in step.modules():
        if isinstance(part, Detector):
            part.precision = precision

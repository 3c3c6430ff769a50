"""The game between a domain discriminator and the features: one place for all methods that play or change it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from trainables.losses import conditional_map, domain_accuracy, domain_adversarial, entropies
from trainables.seeding import seeded

if TYPE_CHECKING:
    from trainables.objective import Step

View = Callable[[Tensor, Tensor], Tensor]
"""What the discriminator is shown of (B, D) features and (B, C) logits."""

Relabel = Callable[["Step", nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Given the step, the discriminator and what it would be shown of source and target, (B, K) each: what it is shown of
the target instead, and (B,) which of that it is to call source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adversary:
    """A domain discriminator, what it is shown, and how strongly the features resist it.

    Attributes:
        module: to one logit an image, of its coming from the source.
        view: what it is shown.
        weight: of the reversed gradient at the end of the schedule.
        gamma: steepness of the schedule from 0 to ``weight``.
        by_certainty: images count by ``1 + exp(-entropy)`` of their prediction (CDAN+E).
    """

    module: nn.Module
    view: View
    weight: float
    gamma: float
    by_certainty: bool = False

    def term(self, step: Step, relabel: Relabel | None = None) -> Tensor:
        """The domain loss of a step; the discriminator's balanced accuracy by the true domain goes to the figures.

        Args:
            relabel: which target images count as source, for the discriminator alone; none if not given.
        """
        source = self.view(step.features, step.logits)
        target = self.view(step.target_features, step.target_logits)
        shown, relabelled = relabel(step, self.module, source, target) if relabel else (target, None)
        strength = self.weight * schedule(step.progress, self.gamma)
        weights = (certainty(step.logits), certainty(step.target_logits)) if self.by_certainty else None
        loss, accuracy = domain_adversarial(self.module, source, shown, strength, weights, relabelled)
        step.figures["discriminator_accuracy"] = accuracy if relabelled is None else self._accuracy(source, target)
        return loss

    @torch.no_grad()
    def _accuracy(self, source: Tensor, target: Tensor) -> Tensor:
        """On the domains as they are, where the discriminator is shown a mixture of them."""
        return domain_accuracy(self.module(source).flatten(), self.module(target).flatten())


def schedule(progress: float, gamma: float) -> float:
    """``2 / (1 + exp(-gamma * progress)) - 1``: 0 at the start, so that the discriminator learns first."""
    return 2 / (1 + math.exp(-gamma * progress)) - 1


def certainty(logits: Tensor) -> Tensor:
    """(B,) ``1 + exp(-entropy)`` of the predictions, scaled to mean 1, without gradient."""
    weights = 1 + torch.exp(-entropies(torch.softmax(logits.detach(), dim=1)))
    return weights / weights.mean()


def features_alone(features: Tensor, logits: Tensor) -> Tensor:
    """DANN's view: the features."""
    del logits
    return features


def features_by_class(features: Tensor, logits: Tensor) -> Tensor:
    """CDAN's view: the outer product of features and predictions, the latter without gradient."""
    return conditional_map(features, torch.softmax(logits.detach(), dim=1))


def discriminator(inputs: int, hidden: int, seed: int, name: str = "discriminator") -> nn.Module:
    """(B, inputs) to one logit, through two hidden layers; the seed and the name alone decide its weights."""
    with seeded(seed, name):
        first, second = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden)
        return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(hidden, 1))

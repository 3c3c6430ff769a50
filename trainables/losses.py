"""Loss terms that bring two domains together. B images, D features."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def coral(source: Tensor, target: Tensor) -> Tensor:
    """Deep CORAL: squared distance of the feature covariances, ``||C_s - C_t||_F^2 / (4 D^2)``.

    Sun & Saenko 2016 (arXiv 1607.01719), equation 1, with the unbiased covariances of equations 2 and 3.

    Args:
        source: (B_s, D) features, B_s at least 2.
        target: (B_t, D) features, B_t at least 2.
    """
    distance = _covariance(source) - _covariance(target)
    return distance.square().sum() / (4 * source.shape[1] ** 2)


def _covariance(features: Tensor) -> Tensor:
    centred = features - features.mean(dim=0, keepdim=True)
    return centred.T @ centred / (len(features) - 1)


def gradient_reversal(features: Tensor, strength: float) -> Tensor:
    """The features unchanged; on the way back their gradient is multiplied by ``-strength``.

    Ganin & Lempitsky 2015 (arXiv 1409.7495), section 3.1.
    """
    reversed_: Tensor = _GradientReversal.apply(features, strength)
    return reversed_


class _GradientReversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * -ctx.strength, None


def domain_adversarial(
    discriminator: nn.Module, source: Tensor, target: Tensor, strength: float
) -> tuple[Tensor, Tensor]:
    """DANN's domain loss: the discriminator tells source from target, the features learn to prevent it.

    Binary cross-entropy (source 1, target 0), mean over both domains with equal weight, through a gradient
    reversal of the given strength (Ganin et al. 2016, arXiv 1505.07818).

    Args:
        discriminator: (B, D) features to one logit, (B, 1) or (B,).
        source, target: (B_s, D) and (B_t, D) features.
        strength: of the reversal; the discriminator's own gradient does not depend on it.

    Returns:
        The loss, and the discriminator's balanced accuracy on these features, without gradient: .5 means that
        it cannot tell the domains apart.
    """
    logits = discriminator(gradient_reversal(torch.cat([source, target]), strength)).flatten()
    of_source, of_target = logits[: len(source)], logits[len(source) :]
    loss = (functional.softplus(-of_source).mean() + functional.softplus(of_target).mean()) / 2
    accuracy = ((of_source > 0).float().mean() + (of_target <= 0).float().mean()) / 2
    return loss, accuracy.detach()

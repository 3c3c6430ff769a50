"""Target images that a domain discriminator takes for source images: when they count as such, and which (RADA).

Jin et al. 2021 (arXiv 2103.11661, "Re-energizing Domain Discriminator with Sample Relabeling for Adversarial Domain
Adaptation").
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.losses import entropies

if TYPE_CHECKING:
    from trainables.detector import Detector
    from trainables.objective import Step


def domain_entropies(logits: Tensor) -> Tensor:
    """(B,) entropy of a discriminator's verdicts as a share of the largest, ln 2: 1 where it cannot tell."""
    source = torch.sigmoid(logits)
    return entropies(torch.stack([source, 1 - source], dim=1)) / math.log(2)


class Relabelling(nn.Module):
    """Relabels target images once the discriminator has stopped improving; its memory is in buffers.

    Args:
        threshold: of the domain entropy, as a share of ln 2; images above it are relabelled.
        patience: epochs in a row without a new lowest domain loss, after which relabelling begins.
        start: share of the training after which it begins in any case; 1 for never.
    """

    losses: Tensor
    steps: Tensor
    lowest: Tensor
    waited: Tensor

    def __init__(self, threshold: float, patience: int, start: float) -> None:
        super().__init__()
        self.threshold, self.patience, self.start = threshold, patience, start
        for name, value in {"losses": 0.0, "steps": 0.0, "lowest": math.inf, "waited": 0.0}.items():
            self.register_buffer(name, torch.tensor(value))

    def next_epoch(self, detector: Detector, epoch: int) -> Mapping[str, float]:
        """Before an epoch: whether the discriminator was better in the last one than in any before."""
        del detector, epoch
        if self.steps:
            loss = self.losses / self.steps
            improved = loss < self.lowest
            # Once begun, relabelling goes on.
            if self.waited < self.patience:
                self.waited.copy_(torch.where(improved, 0, self.waited + 1))
            self.lowest.copy_(torch.minimum(self.lowest, loss))
            self.losses.zero_()
            self.steps.zero_()
        return {}

    def relabel(self, step: Step, discriminator: nn.Module, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """What the discriminator is shown of the target, and which of it counts as source.

        A relabelled image is shown as ``a * source + (1 - a) * target``, a uniform on [0, 1) for each image: its gap
        to the true source images is bridged. The share of relabelled images goes to the figures.

        Args:
            source, target: (B, K) each, what it would be shown of source and target.
        """
        with torch.no_grad():
            of_source, of_target = discriminator(source).flatten(), discriminator(target).flatten()
            self.losses += (functional.softplus(-of_source).mean() + functional.softplus(of_target).mean()) / 2
            self.steps += 1
            begun = torch.ones_like(self.waited) if step.progress >= self.start else self.waited >= self.patience
            relabelled = (domain_entropies(of_target) > self.threshold) & begun.bool()
            share = torch.rand(len(target), 1, dtype=target.dtype, device=target.device)
        step.figures["relabel_rate"] = relabelled.to(target.dtype).mean()
        mixed = share * source + (1 - share) * target
        return torch.where(relabelled[:, None], mixed, target), relabelled

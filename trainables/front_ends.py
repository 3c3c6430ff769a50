"""What detectors do to an image before anything is learnt, or as the first thing that is: modules for ``front``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.filters import Kernel


def residuals(kernels: Sequence[Kernel], step: float = 4.0, truncation: float = 3.0) -> nn.Sequential:
    """(B, 3, H, W) in [0, 1] to (B, 3 K, H, W): K fixed filters on each colour channel, and what they leave cut off.

    Each filter is divided by its largest weight, so that its residual is a prediction error in grey levels.

    Args:
        step: grey levels (of 255) that one unit of a residual stands for.
        truncation: the largest residual, in units.
    """
    bank = torch.tensor(np.stack(kernels), dtype=torch.float32)
    bank = (bank / bank.abs().amax(dim=(1, 2), keepdim=True))[:, None]
    filters = nn.Conv2d(3, 3 * len(bank), 5, padding=2, padding_mode="reflect", groups=3, bias=False)
    filters.weight = nn.Parameter(bank.repeat(3, 1, 1, 1) * 255 / step, requires_grad=False)
    return nn.Sequential(filters, nn.Hardtanh(-truncation, truncation))


@final
class NeighbouringPixels(nn.Module):
    """NPR: each pixel minus the upper left one of its block of 2x2, times a factor a colour.

    Blocks are counted from the image's upper left corner. A last odd row or column has blocks of its own, half as
    large.

    Args:
        factors: of the three colours.
    """

    factors: Tensor

    def __init__(self, factors: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("factors", torch.tensor(factors)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to the same shape."""
        height, width = images.shape[-2:]
        corners = images[..., ::2, ::2].repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)
        return (images - corners[..., :height, :width]) * self.factors


@final
class PredictionError(nn.Conv2d):
    """Learnt 5x5 filters that are -1 in the middle, and elsewhere sum to 1 over all colours.

    What the neighbours predict, minus the pixel. The filter is the free weights divided by their sum, so gradients
    descend among filters that keep to the constraint; published training steps off it and puts the filter back.

    Args:
        filters: how many, over the three colours together.
    """

    def __init__(self, filters: int) -> None:
        super().__init__(3, filters, 5, padding=2, padding_mode="reflect", bias=False)

    def reset_parameters(self) -> None:
        """Free weights between 0 and 1: their sum is far from 0, which no weighted mean can be divided by."""
        nn.init.uniform_(self.weight)

    def filters(self) -> Tensor:
        """(K, 3, 5, 5) as they are applied: the middle is -1 in sum over the colours."""
        middle = torch.zeros_like(self.weight[:1])
        middle[..., 2, 2] = 1
        around = self.weight * (1 - middle)
        return around / around.sum(dim=(1, 2, 3), keepdim=True) - middle / 3

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, K, H, W)."""
        padded = functional.pad(images, (2, 2, 2, 2), mode="reflect")
        return functional.conv2d(padded, self.filters())

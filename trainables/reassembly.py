"""Texture without the scene: an image's richest patches put together to one image, and its poorest to another."""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor, nn

NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Rows and columns from a pixel to those that it is compared with: to the right, below, and on both diagonals."""


def diversity(images: Tensor, patch: int, stride: int) -> Tensor:
    """Texture diversity l_div of every patch: (B, K, H, W) in [0, 1] to (B, r, c) int64, in grey levels.

    The sum, over all pairs of neighbours within the patch and over colours, of how much they differ. Pixels are rounded
    to whole grey levels, so that sums are exact, and no order of patches hangs on how a machine adds up.
    """
    levels = (images.detach() * 255).round().int()
    height, width = levels.shape[-2:]
    total = torch.zeros((), dtype=torch.int64, device=images.device)
    for down, right in NEIGHBOURS:
        rows, columns = height - down, width - abs(right)
        here, there = max(-right, 0), max(right, 0)
        pixels, neighbours = levels[..., :rows, here : here + columns], levels[..., down:, there : there + columns]
        steps = (pixels - neighbours).abs().sum(dim=1)
        pairs = steps.unfold(1, patch - down, stride).unfold(2, patch - abs(right), stride)
        total = total + pairs.sum(dim=(-2, -1))
    return total


@final
class Reassembled(nn.Module):
    """(B, K, H, W) to (2B, K, h, w): the images made of each image's richest patches, then those of its poorest.

    Patches are ``patch`` pixels high and wide and lie ``patch / 2`` apart, from the upper left corner; so where 4
    divides ``patch``, what repeats every two pixels stays in phase. The first patch of each is the richest, or the
    poorest; the others follow by rows. Which patches are chosen has no gradient, what is in them has.

    Args:
        patch: side in pixels, even.
        kept: patches along each side of what is made; None: as many as lie side by side in the image.
    """

    def __init__(self, patch: int, kept: int | None = None) -> None:
        super().__init__()
        self.patch, self.kept = patch, kept

    @property
    def min_size(self) -> int:
        """Smallest H and W: no patch is then among the richest and the poorest at once."""
        along = math.isqrt(2 * (self.kept or 2) ** 2 - 1) + 1
        return self.patch + (along - 1) * self.patch // 2

    def forward(self, images: Tensor) -> Tensor:
        """The images of patches."""
        stride = self.patch // 2
        rows, columns = (self.kept or length // self.patch for length in images.shape[-2:])
        order = diversity(images, self.patch, stride).flatten(1).argsort(dim=1, stable=True)
        poorest, richest = order[:, : rows * columns], order.flip(1)[:, : rows * columns]
        patches = images.unfold(2, self.patch, stride).unfold(3, self.patch, stride)
        which = torch.arange(len(images), device=images.device)[:, None]
        across = patches.shape[3]
        cut = [patches[which, :, chosen // across, chosen % across] for chosen in (richest, poorest)]
        # Channels last, as a detector's images: the convolutions that follow take half the time on a CPU.
        return tiled(torch.cat(cut), rows, columns).contiguous(memory_format=torch.channels_last)


def tiled(patches: Tensor, rows: int, columns: int) -> Tensor:
    """(B, rows * columns, K, p, q) to (B, K, rows * p, columns * q), row by row."""
    count, _, channels, height, width = patches.shape
    grid = patches.reshape(count, rows, columns, channels, height, width).permute(0, 3, 1, 4, 2, 5)
    return grid.reshape(count, channels, rows * height, columns * width)


@final
class Contrast(nn.Module):
    """(2B, K, h, w) to (B, D, h, w): what one block of filters makes of the first half, minus what of the second.

    Args:
        inputs: K.
        width: D.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        filters = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
        self.block = nn.Sequential(filters, nn.BatchNorm2d(width), nn.Hardtanh(-5, 5))

    def forward(self, maps: Tensor) -> Tensor:
        """The differences."""
        first, second = self.block(maps).chunk(2)
        difference: Tensor = first - second
        return difference

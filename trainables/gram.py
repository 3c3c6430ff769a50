"""Global texture: Gram matrices of a network's maps, and features of them beside the network's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

ALIGNED, INNER, TEXTURE = 32, 16, 32
"""Of a block: maps whose Gram matrix is taken, maps between its two convolutions, and features; as published."""


def gram(maps: Tensor) -> Tensor:
    """(B, K, h, w) to (B, K, K): ``sum over places of F_i F_j / (K h w)``, whatever the places' order.

    The paper's matrix is the sum; the division is that of the authors' code, and makes images of any size comparable.
    """
    # Divided before the product: in half precision the sum over a large image would be infinite.
    rows = maps.flatten(2) / maps[0].numel() ** 0.5
    products: Tensor = rows @ rows.transpose(1, 2)
    return products


@final
class GramBlock(nn.Module):
    """(B, K, h, w) maps to (B, 32) features of their Gram matrix, which is read as an image of one channel.

    Args:
        inputs: K.
    """

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.align = _convolution(inputs, ALIGNED, stride=1)
        self.refine = nn.Sequential(_convolution(1, INNER, stride=2), _convolution(INNER, TEXTURE, stride=2))

    def forward(self, maps: Tensor) -> Tensor:
        """The features."""
        refined: Tensor = self.refine(gram(self.align(maps))[:, None])
        return refined.mean(dim=(2, 3))


@final
class WithTexture(nn.Module):
    """Stages of a network in a row, and a Gram block before each of them: (B, 3, H, W) to (B, D + 32 S).

    The features are the mean over places of the last stage's D maps, then those of the S blocks.

    Args:
        stages: each takes what the one before it makes; S of them.
        widths: maps that each of them is given; 3 of the first, which is given the images.
    """

    def __init__(self, stages: Sequence[nn.Module], widths: Sequence[int]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.blocks = nn.ModuleList(GramBlock(width) for width in widths)

    def forward(self, images: Tensor) -> Tensor:
        """The features."""
        maps, textures = images, []
        for stage, block in zip(self.stages, self.blocks, strict=True):
            textures.append(block(maps))
            maps = stage(maps)
        return torch.cat([maps.mean(dim=(2, 3)), *textures], dim=1)


def _convolution(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    filters = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(filters, nn.BatchNorm2d(outputs), nn.ReLU())

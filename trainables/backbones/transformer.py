"""torchvision's vision transformers (Dosovitskiy et al. 2021), for images of any multiple of the patch's size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainables.errors import InputError


class PatchMap(nn.Module):
    """What the patches hold, laid out as they lie in the image: a layer to look into. The flow goes through it."""

    def forward(self, patches: Tensor, height: int) -> Tensor:
        """(B, h * w, D) to (B, D, h, w).

        Args:
            height: h.
        """
        return patches.transpose(1, 2).reshape(len(patches), patches.shape[2], height, -1)


class Transformer(nn.Module):
    """From images to what the class token holds in the end, (B, D).

    Args:
        network: a ``VisionTransformer`` of torchvision's, whose parts it takes over.
        layers: names of maps, and the number of blocks before each.
    """

    def __init__(self, network: Any, layers: Mapping[str, int]) -> None:
        super().__init__()
        self.class_token, self.positions = network.class_token, network.encoder.pos_embedding
        self.patches, self.dropout = network.conv_proj, network.encoder.dropout
        self.blocks = nn.ModuleDict()
        named = {blocks: name for name, blocks in layers.items()}
        for number, block in enumerate(network.encoder.layers, start=1):
            self.blocks[f"encoder{number}"] = block
            if number in named:
                self.blocks[named[number]] = PatchMap()
        self.norm = network.encoder.ln

    def maps(self) -> dict[str, nn.Module]:
        """The maps by name, shallow to deep."""
        return {name: part for name, part in self.blocks.items() if isinstance(part, PatchMap)}

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, D).

        Raises:
            InputError: H or W is no multiple of the patch's size.
        """
        check_multiple(images, self.patches.stride[0])
        grid = self.patches(images)
        height = grid.shape[2]
        classes = self.class_token.expand(len(images), -1, -1)
        tokens = torch.cat([classes, grid.flatten(2).transpose(1, 2)], dim=1)
        tokens = self.dropout(tokens + interpolated(self.positions, *grid.shape[2:]))
        for part in self.blocks.values():
            if isinstance(part, PatchMap):
                seen = part(tokens[:, 1:], height)
                tokens = torch.cat([tokens[:, :1], seen.flatten(2).transpose(1, 2)], dim=1)
            else:
                tokens = part(tokens)
        first: Tensor = self.norm(tokens)[:, 0]
        return first


def interpolated(positions: Tensor, height: int, width: int) -> Tensor:
    """Embeddings of the positions of another grid: bicubic between those of the square one, corner on corner.

    As ``torchvision.models.vision_transformer.interpolate_embeddings``, but as a product with a fixed matrix: the
    gradient of an interpolation is not the same from run to run on a GPU.

    Args:
        positions: (1, 1 + n * n, D), first the class token's.

    Returns:
        (1, 1 + height * width, D).
    """
    count = positions.shape[1] - 1
    side = math.isqrt(count)
    if (height, width) == (side, side):
        return positions
    unit = torch.eye(count, dtype=positions.dtype, device=positions.device).view(1, count, side, side)
    matrix = functional.interpolate(unit, size=(height, width), mode="bicubic", align_corners=True)[0].flatten(1)
    return torch.cat([positions[:, :1], matrix.T @ positions[:, 1:]], dim=1)


def check_multiple(images: Tensor, patch: int) -> None:
    """Pass where images are cut into whole patches.

    Raises:
        InputError: their height or width is no multiple of the patch's.
    """
    height, width = images.shape[-2:]
    if height % patch or width % patch:
        below = max(min(height, width) // patch, 1) * patch
        raise InputError(
            f"this transformer cuts images into patches of {patch}x{patch}",
            value=f"{height}x{width}",
            fix=f"use images whose sides are multiples of {patch}, such as {below} or {below + patch}",
        )

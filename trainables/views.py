"""Random views of images that keep forensic traces, for methods that want one prediction of many views.

Blur, JPEG, noise and colour changes, the strong augmentations of object recognition, destroy what tells a generated
image: a detector that is taught to predict alike with and without them is taught not to look at it. Mirroring, moving
by an even number of pixels and changing the places of large patches leave every pixel's value and nearly all
neighbours as they are, and a pattern of period two in its phase.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from trainables.contract import Config

if TYPE_CHECKING:
    from torch import Tensor


class Views(Config):
    """What becomes of each image, drawn for it alone from torch's global generator.

    Attributes:
        flips: mirror half of the images, left to right.
        shift: pixels that an image is moved by at the most, along rows and columns, by an even number: a crop at an
            even offset of the image continued by reflection. 0: none.
        patches: along each side; the patches of an image change places at random. 1: none.
    """

    flips: bool = True
    shift: int = Field(default=4, ge=0, le=32, multiple_of=2)
    patches: int = Field(default=2, ge=1, le=8)

    def of(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to a new (B, 3, H, W)."""
        images = flipped(images) if self.flips else images
        images = shifted(images, self.shift) if self.shift else images
        return shuffled(images, self.patches) if self.patches > 1 else images


def flipped(images: Tensor) -> Tensor:
    """(B, 3, H, W) with half of the images mirrored, left to right."""
    import torch

    mirrored = torch.rand(len(images)) < 0.5
    return torch.where(mirrored.to(images.device)[:, None, None, None], images.flip(3), images)


def shifted(images: Tensor, most: int) -> Tensor:
    """(B, 3, H, W), each moved by an even number of pixels, at most ``most``, with what is missing reflected.

    Reflection about the middle of the outermost pixel keeps even columns even.
    """
    import torch
    from torch.nn import functional

    height, width = images.shape[-2:]
    most = min(most, (height - 1) // 2 * 2, (width - 1) // 2 * 2)
    padded = functional.pad(images, (most, most, most, most), mode="reflect")
    offsets = 2 * torch.randint(most + 1, (len(images), 2))
    crops = [
        image[:, top : top + height, left : left + width]
        for image, (top, left) in zip(padded, offsets.tolist(), strict=True)
    ]
    return torch.stack(crops)


def shuffled(images: Tensor, grid: int) -> Tensor:
    """(B, 3, H, W), each with its ``grid`` x ``grid`` patches in a random order.

    The sides of a patch are even; rows and columns that are left over at the bottom and the right stay.
    """
    import torch

    count, channels, height, width = images.shape
    rows, columns = (side // grid // 2 * 2 for side in (height, width))
    if not rows or not columns:
        return images
    inner = images[:, :, : grid * rows, : grid * columns]
    patches = inner.reshape(count, channels, grid, rows, grid, columns).transpose(3, 4)
    patches = patches.reshape(count, channels, grid * grid, rows, columns)
    order = torch.rand(count, grid * grid).argsort(dim=1).to(images.device)
    mixed = patches[torch.arange(count, device=images.device)[:, None], :, order].transpose(1, 2)
    mixed = mixed.reshape(count, channels, grid, grid, rows, columns).transpose(3, 4)
    result = images.clone()
    result[:, :, : grid * rows, : grid * columns] = mixed.reshape(inner.shape)
    return result

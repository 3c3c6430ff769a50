"""Images brought to one size within a detector, so that what needs one size takes any, and its gradients are exact."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Resampled(nn.Module):
    """(B, K, H, W) to (B, K, side, side): bicubic, smoothed where it is made smaller; its own size is left alone.

    Two products with fixed matrices, along columns and along rows: unlike an interpolation's, their gradient is the
    same from run to run on a GPU.

    Args:
        side: height and width of what comes out, in pixels.
        crop: cut the middle out of what is larger, instead of making it smaller.
    """

    def __init__(self, side: int, *, crop: bool = False) -> None:
        super().__init__()
        self.side, self.crop = side, crop

    def extra_repr(self) -> str:
        """What it does, as part of what a detector's features depend on."""
        return f"side={self.side}, crop={self.crop}"

    def forward(self, images: Tensor) -> Tensor:
        """The images at their new size."""
        if self.crop:
            images = _middle(images, self.side)
        rows, columns = (_matrix(length, self.side, images) for length in images.shape[-2:])
        if rows is not None:
            images = rows @ images
        return images if columns is None else images @ columns.T


def _middle(images: Tensor, side: int) -> Tensor:
    """The middle of the images, at most ``side`` high and wide."""
    top, left = (max(0, (length - side) // 2) for length in images.shape[-2:])
    return images[..., top : top + side, left : left + side]


def _matrix(length: int, side: int, like: Tensor) -> Tensor | None:
    """(side, length) that resamples a column; None where there is nothing to do."""
    if length == side:
        return None
    unit = torch.eye(length)[None, None]
    matrix = functional.interpolate(unit, size=(side, length), mode="bicubic", antialias=True)
    return matrix[0, 0].to(like)

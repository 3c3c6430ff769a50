"""Numbers that a transform makes of images, standardised place by place, and linear heads that are solved on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from trainables import solving
from trainables.contract import Context, Images, Outcome, Pixels
from trainables.detector import Detector
from trainables.errors import InputError
from trainables.heads import linear
from trainables.score import infer

_STILL = 1e-6
"""Relative deviation that is rounding, and no signal to be blown up."""


@final
class Standardised(nn.Module):
    """What a transform makes of images, (x - mean) / std by place, with statistics that are learnt once and then fixed.

    Until ``standardise`` has learnt them it changes nothing. Afterwards the transform must make what it made then: maps
    of one size, where their size is the images'.

    Args:
        transform: (B, 3, H, W) to (B, ...).

    Attributes:
        mean, std: () at first, then of the shape that the transform makes of one image; a state brings its own.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, transform: nn.Module) -> None:
        super().__init__()
        self.transform = transform
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))
        self.register_load_state_dict_pre_hook(_take_shapes)  # type: ignore[no-untyped-call]  # torch's

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, ...).

        Raises:
            InputError: the statistics are of images of another size.
        """
        found: Tensor = self.transform(images)
        if self.mean.ndim and self.mean.shape != found.shape[1:]:
            height, width = self.mean.shape[-2:]
            raise InputError(
                "these images are of another size than those the detector was trained on",
                value=f"{images.shape[-2]}x{images.shape[-1]}",
                fix=f"give it images of {height}x{width} pixels (`preprocess.size`)",
            )
        return (found - self.mean) / self.std


def _take_shapes(module: Standardised, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Statistics of the shapes that the state brings: a fresh module does not know the images' size."""
    for name in ("mean", "std"):
        given = state.get(f"{prefix}{name}")
        if given is not None and given.shape != getattr(module, name).shape:
            setattr(module, name, torch.empty_like(given, device=module.mean.device))


def standardise(detector: Detector, pixels: Pixels, device: str) -> None:
    """Give the detector's front, a ``Standardised``, its statistics over these images, summed up in float64.

    A place that all images but for rounding agree about has standard deviation 1.

    Args:
        pixels: (N, H, W, 3) uint8, one at least.
    """
    front = detector.front
    assert isinstance(front, Standardised)
    transform: nn.Module = front.transform
    sums: list[Tensor] = []

    def add(images: Tensor) -> Tensor:
        found = transform(images).double()
        new = torch.stack([found.sum(dim=0), found.square().sum(dim=0)])
        sums[:] = [sums[0] + new if sums else new]
        return images.new_zeros(len(images))

    infer(detector, add, pixels, device)
    mean, square = sums[0] / len(pixels)
    std = (square - mean.square()).clamp_min(0).sqrt()
    still = std <= _STILL * mean.abs().clamp_min(1)
    front.mean, front.std = mean.float(), torch.where(still, 1.0, std).float()


def under_linear_head(transform: nn.Module, features: int, classes: int, layers: Mapping[str, nn.Module]) -> Detector:
    """A detector of all that a transform makes of an image, standardised place by place.

    Args:
        features: how many numbers that is.
        layers: parts of the transform to look into.
    """
    return Detector(
        front=Standardised(transform),
        body=nn.Flatten(),
        head=linear(features, classes),
        layers=layers,
        feature_dim=features,
        min_size=8,
        classes=classes,
    )


def solve(
    config: solving.LinearHead, detector: Detector, source: Images, source_val: Images, context: Context
) -> Outcome:
    """``solving.solve`` of a detector whose front, a ``Standardised``, learns its statistics on the source first.

    Raises:
        InputError: the images are of one class.
    """
    standardise(detector, source.pixels, context.device)
    return solving.solve(config, detector, source, source_val, context)

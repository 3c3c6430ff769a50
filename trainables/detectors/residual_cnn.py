"""Fixed high-pass filters, then a small CNN: a detector that trains on a CPU in seconds.

Generators leave their traces in what a photograph has least of, its noise; the filters take the scene away before
anything is learnt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, PositiveFloat

from trainables.contract import Config as MemberConfig
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor, nn

    from trainables.detector import Detector

# Four of the residual models of Fridrich & Kodovsky 2012 ("Rich Models for Steganalysis of Digital Images", section
# II-A), each divided by its largest weight: second order along rows and along columns, 3x3 and 5x5 square.
ROWS = ((0, 0, 0), (1, -2, 1), (0, 0, 0))
SQUARE_3 = ((-1, 2, -1), (2, -4, 2), (-1, 2, -1))
SQUARE_5 = ((-1, 2, -2, 2, -1), (2, -6, 8, -6, 2), (-2, 8, -12, 8, -2), (2, -6, 8, -6, 2), (-1, 2, -2, 2, -1))


class Config(MemberConfig):
    """Parameters of ``residual_cnn``.

    Attributes:
        width: channels of the first of four blocks; the others have 2, 4 and 4 times as many.
        step: grey levels (of 255) that one unit of a residual stands for.
        truncation: residuals are cut at plus and minus this many units, so that edges do not drown the noise.
        recipe: how it is trained.
    """

    width: int = Field(default=8, ge=2, le=256)
    step: PositiveFloat = 4.0
    truncation: PositiveFloat = 3.0
    recipe: Recipe = Recipe(learning_rate=2e-3)


def build(config: Config, classes: int) -> Detector:
    """A detector with random weights; layers ``block1`` to ``block4``, 1/2, 1/4, 1/8 and 1/8 of the image's size."""
    from torch import nn

    from trainables.detector import Detector

    width = config.width
    blocks = {
        "block1": _block(12, width, halve=True),
        "block2": _block(width, 2 * width, halve=True),
        "block3": _block(2 * width, 4 * width, halve=True),
        "block4": _block(4 * width, 4 * width, halve=False),
    }
    pooling = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Detector(
        front=_residuals(config.step, config.truncation),
        body=nn.Sequential(*blocks.values(), pooling),
        head=nn.Linear(4 * width, classes),
        layers=blocks,
        feature_dim=4 * width,
        min_size=16,
        classes=classes,
    )


def _block(inputs: int, outputs: int, *, halve: bool) -> nn.Sequential:
    from torch import nn

    layers = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
    # Averaging rather than striding: a stride aliases, and the aliases would be read as a generator's grid.
    return nn.Sequential(*layers, nn.AvgPool2d(2)) if halve else nn.Sequential(*layers)


def _residuals(step: float, truncation: float) -> nn.Sequential:
    """(B, 3, H, W) in [0, 1] to (B, 12, H, W): four fixed filters on each colour channel, cut at ``truncation``."""
    from torch import nn

    filters = nn.Conv2d(3, 12, 5, padding=2, padding_mode="reflect", groups=3, bias=False)
    filters.weight = nn.Parameter(_bank().repeat(3, 1, 1, 1) * 255 / step, requires_grad=False)
    return nn.Sequential(filters, nn.Hardtanh(-truncation, truncation))


def _bank() -> Tensor:
    """(4, 1, 5, 5), in the order rows, columns, 3x3 square, 5x5 square."""
    import torch
    from torch.nn import functional

    rows, square_3, square_5 = (torch.tensor(kernel, dtype=torch.float32) for kernel in (ROWS, SQUARE_3, SQUARE_5))
    small = [functional.pad(kernel, (1, 1, 1, 1)) for kernel in (rows, rows.T, square_3)]
    bank = torch.stack([*small, square_5])
    return (bank / bank.abs().amax(dim=(1, 2), keepdim=True))[:, None]

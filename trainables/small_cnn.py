"""The body that detectors with a front end of their own share: four small blocks, trained on a CPU in seconds.

Importing this imports no torch, so that the members' Configs can be built on ``OnSmallCnn``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pydantic import Field, PositiveFloat

from trainables.contract import Config
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from trainables.detector import Detector
    from trainables.filters import Kernel


class OnSmallCnn(Config):
    """Parameters of a member that has the small body; such members inherit them.

    Attributes:
        width: channels of the first of four blocks; the others have 2, 4 and 4 times as many.
    """

    width: int = Field(default=8, ge=2, le=256)


class OnResiduals(OnSmallCnn):
    """Parameters of a member whose small body sees what fixed filters leave; such members inherit them.

    Attributes:
        step: grey levels (of 255) that one unit of a residual stands for.
        truncation: residuals are cut at plus and minus this many units, so that edges do not drown the noise.
        recipe: how it is trained.
    """

    step: PositiveFloat = 4.0
    truncation: PositiveFloat = 3.0
    recipe: Recipe = Recipe(learning_rate=2e-3)

    def detector(self, kernels: Sequence[Kernel], classes: int, pooling: nn.Module | None = None) -> Detector:
        """A ``small_cnn`` of what these filters leave of each colour."""
        from trainables.front_ends import residuals

        front = partial(residuals, kernels, self.step, self.truncation)
        return small_cnn(front, 3 * len(kernels), self.width, classes, pooling)


def small_cnn(
    front: Callable[[], nn.Module], inputs: int, width: int, classes: int, pooling: nn.Module | None = None
) -> Detector:
    """A detector with random weights; layers ``block1`` to ``block4``, 1/2, 1/4, 1/8 and 1/8 of the image's size.

    Args:
        front: makes the front end; called once the blocks have drawn their weights.
        inputs: channels of what the front end makes.
        width: channels of the first of four blocks; the others have 2, 4 and 4 times as many.
        pooling: (B, 4 * width, h, w) to (B, 4 * width); the mean if not given.
    """
    from torch import nn

    from trainables.detector import Detector

    blocks = {
        "block1": _block(inputs, width, halve=True),
        "block2": _block(width, 2 * width, halve=True),
        "block3": _block(2 * width, 4 * width, halve=True),
        "block4": _block(4 * width, 4 * width, halve=False),
    }
    pooling = pooling or nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return Detector(
        front=front(),
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

"""Logarithms of the cosine transform under a shallow convolutional network: Frank et al. 2020 (arXiv 2003.08685)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from trainables.contract import Config as MemberConfig
from trainables.contract import Context, Images
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from torch import nn

    from trainables.detector import Detector

CHANNELS = (3, 8, 16, 32)
"""Of the four convolutions, as in the authors' code (RUB-SysSec/GANDCTAnalysis, ``build_simple_cnn``)."""


class Config(MemberConfig):
    """Parameters of ``dct_cnn``.

    Attributes:
        cells: of each axis of the spectrum that is left in the features. The published network keeps all (images of
            128 x 128 pixels: 32); a fixed number makes its classifier's size no matter of the images'.
        recipe: how it is trained; mirrored images have the same coefficients but for signs, which are not looked at.
    """

    cells: int = Field(default=8, ge=1, le=64)
    recipe: Recipe = Recipe(batch=32, flips=False)


def build(config: Config, classes: int) -> Detector:
    """A detector with random weights; layers ``conv2``, ``conv3`` and ``conv4``, 1, 1/2 and 1/4 of the image's size.

    Their maps lie in cosine frequency, 0 at the upper left: they show no place in the image.
    """
    from torch import nn

    from trainables.detector import Detector
    from trainables.heads import linear
    from trainables.spectra import LogCosine
    from trainables.standardising import Standardised

    convolutions = [_convolution(inputs, outputs) for inputs, outputs in zip((3, *CHANNELS), CHANNELS, strict=False)]
    first, second, third, fourth = convolutions
    halves = (nn.AvgPool2d(2), nn.AvgPool2d(2))
    pooling = nn.Sequential(nn.AdaptiveAvgPool2d(config.cells), nn.Flatten())
    features = CHANNELS[-1] * config.cells**2
    return Detector(
        front=Standardised(LogCosine()),
        body=nn.Sequential(first, second, halves[0], third, halves[1], fourth, pooling),
        head=linear(features, classes),
        layers={"conv2": second, "conv3": third, "conv4": fourth},
        feature_dim=features,
        min_size=8,
        classes=classes,
    )


def prepare(config: Config, detector: Detector, source: Images, context: Context) -> None:
    """Learn each coefficient's mean and deviation on the images it is to be trained on; they are fixed from then on."""
    from trainables.standardising import standardise

    standardise(detector, source.pixels, context.device)


def _convolution(inputs: int, outputs: int) -> nn.Module:
    from torch import nn

    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU())

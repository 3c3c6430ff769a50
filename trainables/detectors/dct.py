"""Logarithms of the cosine transform under a linear head: Frank et al. 2020 (arXiv 2003.08685).

A generator's up-sampling shows as a grid of peaks among the coefficients. ``dct_cnn`` is the paper's convolutional
network on the same coefficients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from trainables.contract import Context, Images, Outcome
from trainables.solving import LinearHead

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(LinearHead):
    """Parameters of ``dct``.

    Attributes:
        bins: of each axis of the spectrum. Images of ``bins`` x ``bins`` pixels have every coefficient as a feature, as
            published; of larger ones neighbours are averaged, of smaller ones repeated.
        head: ``ridge`` or ``logistic`` regression, as published.
        penalty: as published, ridge regression's is found on held-out images: tune it.
    """

    bins: int = Field(default=64, ge=8, le=512)
    head: Literal["ridge", "logistic"] = "ridge"


def build(config: Config, classes: int) -> Detector:
    """A detector with the layer ``spectrum``: log |c| of the three colours, in cosine frequency, not in place."""
    from torch import nn

    from trainables.spectra import LogCosine
    from trainables.standardising import under_linear_head

    spectrum = LogCosine()
    binned = nn.Sequential(spectrum, nn.AdaptiveAvgPool2d(config.bins))
    return under_linear_head(binned, 3 * config.bins**2, classes, layers={"spectrum": spectrum})


def solve(config: Config, detector: Detector, source: Images, source_val: Images, context: Context) -> Outcome:
    """Learn each coefficient's mean and deviation, fit the head, and its probabilities to held-out images.

    Raises:
        InputError: the images are of one class.
    """
    from trainables import standardising

    return standardising.solve(config, detector, source, source_val, context)

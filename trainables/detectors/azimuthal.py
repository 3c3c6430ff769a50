"""The power spectrum averaged over directions, under a linear head: Durall et al. 2020 (arXiv 1911.00686).

Up-sampling in a generator leaves too much or too little power at high frequencies. Some tens of images are enough. Any
resampling or JPEG compression moves the spectrum too: compare images of one size and one history only. The features
are ``trainables.spectra.Azimuthal``'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from trainables.contract import Context, Images, Outcome
from trainables.solving import LinearHead

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(LinearHead):
    """Parameters of ``azimuthal``.

    Attributes:
        bins: features: frequencies from 0 to the spectrum's corners, in equal steps. Images of n x n pixels have about
            .7 n rings; what ``bins`` is beyond that is interpolated.
        head: ``svm`` or ``logistic`` regression, as published.
    """

    bins: int = Field(default=64, ge=8, le=1024)
    head: Literal["svm", "logistic"] = "svm"


def build(config: Config, classes: int) -> Detector:
    """A detector without layers to look into: its features are no maps."""
    from trainables.spectra import Azimuthal
    from trainables.standardising import under_linear_head

    return under_linear_head(Azimuthal(config.bins), config.bins, classes, layers={})


def solve(config: Config, detector: Detector, source: Images, source_val: Images, context: Context) -> Outcome:
    """Learn each frequency's mean and deviation, fit the head, and its probabilities to held-out images.

    Raises:
        InputError: the images are of one class.
    """
    from trainables import standardising

    return standardising.solve(config, detector, source, source_val, context)

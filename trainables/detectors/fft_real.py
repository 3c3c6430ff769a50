"""The real part of each colour's Fourier transform as an image for a network: source project S4, as published.

It is neither shifted, scaled nor made a logarithm: frequency 0 is some ten thousand times as large as the rest, and
its sign pattern depends on where things stand in the image. ``fft_logmag`` is the same idea without these two faults.
Published: ResNet-50, Adam at 1e-3 without weight decay, batches of 32, 20 epochs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.architecture import OnBackbone
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(OnBackbone):
    """Parameters of ``fft_real``: the network's, and how it is trained.

    Attributes:
        recipe: how it is trained.
    """

    recipe: Recipe = Recipe(epochs=20, batch=32, learning_rate=1e-3, weight_decay=0, schedule="constant")


def build(config: Config, classes: int) -> Detector:
    """A detector whose layers are the network's: their maps lie in frequency, 0 at the corners, not in place.

    Raises:
        InputError: the weights are missing, unreadable or another network's.
    """
    from trainables.heads import linear
    from trainables.spectra import FourierReal

    return config.backbone().detector(linear, classes, front=FourierReal())

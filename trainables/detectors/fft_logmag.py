"""Each colour's Fourier magnitudes, as logarithms and standardised frequency by frequency, as an image for a network.

Photographs have power that falls with frequency, by orders of magnitude; what is left after the standardisation is how
an image departs from the images trained on, at every frequency alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.architecture import OnBackbone
from trainables.contract import Context, Images
from trainables.recipe import Recipe

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(OnBackbone):
    """Parameters of ``fft_logmag``: the network's, and how it is trained.

    Attributes:
        recipe: how it is trained.
    """

    recipe: Recipe = Recipe(batch=32, learning_rate=3e-4)


def build(config: Config, classes: int) -> Detector:
    """A detector whose layers are the network's: their maps lie in frequency, 0 in the middle, not in place.

    Raises:
        InputError: the weights are missing, unreadable or another network's.
    """
    from trainables.heads import linear
    from trainables.spectra import LogMagnitude
    from trainables.standardising import Standardised

    return config.backbone().detector(linear, classes, front=Standardised(LogMagnitude()))


def prepare(config: Config, detector: Detector, source: Images, context: Context) -> None:
    """Learn each frequency's mean and deviation on the images it is to be trained on; they are fixed from then on.

    From then on the detector takes images of their size alone.
    """
    from trainables.standardising import standardise

    standardise(detector, source.pixels, context.device)

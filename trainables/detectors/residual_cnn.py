"""Fixed high-pass filters, then a small CNN: a detector that trains on a CPU in seconds.

Generators leave their traces in what a photograph has least of, its noise; the filters take the scene away before
anything is learnt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.small_cnn import OnResiduals

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(OnResiduals):
    """Parameters of ``residual_cnn``: how residuals are made units, the body's width, and how it is trained."""


def build(config: Config, classes: int) -> Detector:
    """A ``small_cnn`` of four of the residual models: second order along rows and columns, 3x3 and 5x5 square."""
    from trainables.filters import four_models

    return config.detector(four_models(), classes)

"""All 30 rich-model filters of steganalysis on each colour, then a small CNN.

The filters are those of Fridrich & Kodovsky 2012 (``trainables.filters``): ``residual_cnn`` has four of them, which
look the same way in every direction or along rows and columns; the edges and the odd orders among the others also see
which way a trace leans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PositiveFloat

from trainables.small_cnn import OnResiduals

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(OnResiduals):
    """Parameters of ``srm``.

    Attributes:
        step: grey levels (of 255) that one unit of a residual stands for: the paper's quantisation q, there 1 to 2.
        truncation: residuals are cut at plus and minus this many units: the paper's T, there 2.
    """

    step: PositiveFloat = 2.0
    truncation: PositiveFloat = 2.0


def build(config: Config, classes: int) -> Detector:
    """A ``small_cnn`` of the 90 residuals."""
    from trainables.filters import rich_models

    return config.detector(rich_models(), classes)

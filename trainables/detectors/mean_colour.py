"""The mean of each colour channel under a linear head: a floor.

Three numbers an image, red, green and blue, know nothing of traces. Where they tell real from fake, so do the scenes,
the light or the cameras; what another detector is worth begins above them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.contract import Context, Images, Outcome
from trainables.solving import Kind, LinearHead

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(LinearHead):
    """Parameters of ``mean_colour``: its head's."""

    head: Kind = "logistic"


def build(config: Config, classes: int) -> Detector:
    """A detector without layers to look into: its features are no maps."""
    from torch import nn

    from trainables.standardising import under_linear_head

    return under_linear_head(nn.AdaptiveAvgPool2d(1), 3, classes, layers={})


def solve(config: Config, detector: Detector, source: Images, source_val: Images, context: Context) -> Outcome:
    """Learn each mean's own mean and deviation, fit the head, and its probabilities to held-out images.

    Raises:
        InputError: the images are of one class.
    """
    from trainables import standardising

    return standardising.solve(config, detector, source, source_val, context)

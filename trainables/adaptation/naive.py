"""The next generator learnt from its labelled images alone: the lower bound of methods that guard what was learnt.

Nothing holds the detector to the generators before; what it still knows of them it knows by luck.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.continual import Continual, learn
from trainables.contract import AdaptationData, Context, Outcome

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(Continual):
    """Parameters of ``naive``."""


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the new generator.

    Raises:
        InputError: the data holds no labelled images of the new generator.
    """
    return learn(config, detector, data, context)

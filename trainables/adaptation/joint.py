"""All generators so far learnt together, from where the detector stands: the upper bound of a sequence.

It keeps every labelled image for ever, which a method of continual learning is there to avoid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trainables.continual import Continual, learn, learnt_before
from trainables.contract import AdaptationData, Context, Outcome
from trainables.data.stack import together

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(Continual):
    """Parameters of ``joint``."""


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the new generator and on all before.

    Each generator comes with its own real images: those that several have in common come once for each of them, so
    that the classes stay as balanced as they are in each. An epoch goes through all images; it has more steps with
    every generator.

    Raises:
        InputError: the data holds no labelled images of the new generator, or no generator was learnt before.
    """
    earlier = learnt_before(data)
    images = None if data.oracle_train is None else together([data.oracle_train, *earlier])
    return learn(config, detector, data, context, images=images)

"""Experience replay: some labelled images of the generators before are kept, and come with those of the new one.

Chaudhry et al. 2019 (arXiv 1902.10486), who show as many kept images as new ones in a step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import NonNegativeInt, PositiveFloat

from trainables.continual import Continual, learn, learnt_before, reservoir
from trainables.contract import AdaptationData, Context, Images, Outcome
from trainables.data.stack import together

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(Continual):
    """Parameters of ``replay``.

    Attributes:
        images: that are kept in all, as many of each earlier generator and class. With 0 this is ``naive``.
        ratio: kept images to each new one in an epoch: they are gone through as often as that takes, and once at the
            least. At 1 an epoch has twice the steps of ``naive``'s, and about half of every batch is kept images.
    """

    images: NonNegativeInt = 100
    ratio: PositiveFloat = 1.0


def adapt(config: Config, detector: Detector, data: AdaptationData, context: Context) -> Outcome:
    """Minimise cross-entropy on the new generator and on the reservoir, which the seed has drawn.

    Raises:
        InputError: the data holds no labelled images of the new generator, or no generator was learnt before.
    """
    if not config.images or data.oracle_train is None:
        return learn(config, detector, data, context)
    kept = reservoir(learnt_before(data), config.images, context.seed)
    return learn(config, detector, data, context, images=replayed(data.oracle_train, kept, config.ratio))


def replayed(new: Images, kept: Images, ratio: float) -> Images:
    """The new images once, and the kept ones again and again: ``ratio`` to each new one, and each once at the least."""
    times = max(len(kept), round(ratio * len(new)))
    again = len(new) + np.arange(times, dtype=np.int64) % len(kept)
    return together([new, kept], np.concatenate([np.arange(len(new)), again]))

"""Balanced accuracy on generators that are neither source nor target, as stand-ins for the target.

Gulrajani & Lopez-Paz 2021 (arXiv 2007.01434), section 3: leave-one-domain-out validation. There a model is trained
again for every domain left out; here third generators are never trained on, and one training is enough.
"""

from __future__ import annotations

import math
from statistics import fmean

import numpy as np

from trainables.contract import REAL
from trainables.selection.epoch import Epoch


def value(epoch: Epoch) -> float:
    """In [0, 1]; NaN without a third generator, or without a real image of the source.

    The mean over third generators of the balanced accuracy: half the share of its fakes that are called fake, and half
    the share of the source's real images that are called real.
    """
    reals = epoch.source.take(np.flatnonzero(epoch.source.labels == REAL))
    balanced = [(fakes.accuracy + reals.accuracy) / 2 for fakes in epoch.third.values()]
    return fmean(balanced) if balanced else math.nan

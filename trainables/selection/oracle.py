"""Accuracy on labelled held-out images of the target: what no unsupervised rule may know, and a bound to all of them.

Gulrajani & Lopez-Paz 2021 (arXiv 2007.01434), section 3: test-domain validation.
"""

from __future__ import annotations

import math

from trainables.selection.epoch import Epoch


def value(epoch: Epoch) -> float:
    """In [0, 1]; NaN where the epoch has no labelled images of the target."""
    return math.nan if epoch.oracle is None else epoch.oracle.accuracy

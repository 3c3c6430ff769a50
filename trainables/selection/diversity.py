"""Diversity: predictions on the target are of both classes, all together.

One of the two terms of ``im``, for itself (Liang et al. 2020, arXiv 2002.08546, equation 4). It says nothing of single
images: a detector that finds every image as likely fake as real is as good as can be by this rule.
"""

from __future__ import annotations

from trainables.selection.entropies import entropy_of_mean
from trainables.selection.epoch import Epoch


def value(epoch: Epoch) -> float:
    """Entropy of the mean of the target's predictions, in [0, log 2]."""
    return entropy_of_mean(epoch.target)

"""Information maximisation: predictions on the target are sure one by one, and of both classes all together.

Liang et al. 2020 (arXiv 2002.08546), equation 4, there a loss. It is an estimate of the mutual information of image and
prediction, and largest where half the target is called fake with certainty, rightly or not.
"""

from __future__ import annotations

from trainables.selection.entropies import entropy_of_mean, mean_entropy
from trainables.selection.epoch import Epoch


def value(epoch: Epoch) -> float:
    """Entropy of the mean less the mean entropy of the target's predictions, in [0, log 2]."""
    return entropy_of_mean(epoch.target) - mean_entropy(epoch.target)

"""Sureness: predictions on the target have little entropy, one by one.

Morerio et al. 2018 (arXiv 1711.10288), which tunes by it. A detector that is sure that every image is real is as good
as can be by this rule: it is to be read beside ``diversity``, never alone.
"""

from __future__ import annotations

from trainables.selection.entropies import mean_entropy
from trainables.selection.epoch import Epoch


def value(epoch: Epoch) -> float:
    """Minus the mean entropy of the target's predictions, in [-log 2, 0]."""
    return -mean_entropy(epoch.target)

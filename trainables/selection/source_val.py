"""Accuracy on held-out source images: what a user without any image of the target could measure.

Gulrajani & Lopez-Paz 2021 (arXiv 2007.01434), section 3: training-domain validation.
"""

from __future__ import annotations

from trainables.selection.epoch import Epoch


def value(epoch: Epoch) -> float:
    """In [0, 1]."""
    return epoch.source.accuracy

"""Batch nuclear norm: predictions on the target are sure and of both classes, as the size of their matrix tells.

Cui et al. 2020 (arXiv 2003.12237), section 3, there a loss; as a rule of selection Musgrave, Belongie & Lim 2022
(arXiv 2208.07360).
"""

from __future__ import annotations

import math

import numpy as np

from trainables.selection.epoch import Epoch


def value(epoch: Epoch) -> float:
    """``||P||_* / N`` for the (N, 2) probabilities P of the target's images, in [1 / sqrt(2 N), sqrt(2 / N)].

    The sum of the singular values of P by the number of images: a figure for epochs with the same target images, not
    for targets of different sizes.
    """
    target = epoch.target
    return float(np.linalg.norm(target.probabilities, "nuc")) / len(target) if target.defined else math.nan

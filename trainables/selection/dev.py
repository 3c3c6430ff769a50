"""Deep embedded validation: the importance-weighted risk, with a control variate against the spread of the weights.

You et al. 2019 (ICML, PMLR 97, "Towards Accurate Model Selection in Deep Unsupervised Domain Adaptation"), algorithms 1
and 2. Weights have the mean 1 by definition; what their sample mean is off by tells what the risk is off by.
"""

from __future__ import annotations

import math

import numpy as np

from trainables.selection.density_ratio import Array, weighted_losses
from trainables.selection.epoch import Epoch


def value(epoch: Epoch) -> float:
    """Minus the risk. It may be above 0: the control variate does not know that a risk is never negative."""
    found = weighted_losses(epoch)
    return math.nan if found is None else -controlled_risk(*found)


def controlled_risk(weights: Array, losses: Array) -> float:
    """``mean(w l) + eta mean(w) - eta`` with ``eta = -Cov(w l, w) / Var(w)``.

    Weights that are all the same control nothing: eta is 0.

    Args:
        weights: (N,) w.
        losses: (N,) l.
    """
    weighted = weights * losses
    spread = weights - weights.mean()
    eta = -float((weighted * spread).sum() / (spread * spread).sum()) if np.ptp(weights) > 0 else 0.0
    return float(weighted.mean()) + eta * (float(weights.mean()) - 1)

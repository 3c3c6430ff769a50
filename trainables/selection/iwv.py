"""Importance-weighted validation: the risk on the source, its images weighted as often as the target has their like.

Sugiyama, Krauledat & Müller 2007 (JMLR 8, "Covariate Shift Adaptation by Importance Weighted Cross Validation"), with
held-out images in place of cross-validation, and weights from the detector's features
(``trainables.selection.density_ratio``). It is the target's risk where the domains differ in what images there are, and
not in what is fake among them.
"""

from __future__ import annotations

import math

from trainables.selection.density_ratio import weighted_losses
from trainables.selection.epoch import Epoch


def value(epoch: Epoch) -> float:
    """``-mean(w l)``, at most 0: w the weights of the source's held-out images, l their cross-entropies."""
    found = weighted_losses(epoch)
    if found is None:
        return math.nan
    weights, losses = found
    return -float((weights * losses).mean())

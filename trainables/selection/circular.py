"""Circular validation: whether what is predicted on the target leads back to the labels of the source.

A classifier is fitted to the target with the detector's predictions for labels, and tried on the source. Bruzzone &
Marconcini 2010 (TPAMI 32(5), "Domain Adaptation Problems: A DASVM Classification Technique and a Circular Validation
Strategy"); "reverse validation" in Zhong et al. 2010 (ECML PKDD). Both train the whole method again from the target to
the source; here it is a logistic regression on the detector's own features (``trainables.selection.regression``).
"""

from __future__ import annotations

import math

from trainables.selection.epoch import Epoch
from trainables.selection.ordering import in_order
from trainables.selection.regression import log_odds_by


def value(epoch: Epoch) -> float:
    """Accuracy on the source's held-out images, in [0, 1]; NaN where all predictions on the target are of one class."""
    if not epoch.source.described or not epoch.target.described:
        return math.nan
    target = in_order(epoch.target)
    if len(set(target.predictions.tolist())) < 2:
        return math.nan
    back = log_odds_by(target.features, target.predictions, epoch.source.features)
    return float(((back > 0) == epoch.source.labels).mean())

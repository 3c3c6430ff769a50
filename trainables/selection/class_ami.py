"""Class AMI: two clusters of the target's features agree with the detector's predictions.

Robbiano et al. 2022 (WACV, "Adversarial Branch Architecture Search for Unsupervised Domain Adaptation"); under this
name Musgrave, Belongie & Lim 2022 (arXiv 2208.07360). Which cluster is which class does not matter: predictions that
are all wrong agree as well as those that are all right.
"""

from __future__ import annotations

import math

import numpy as np

from trainables.selection.epoch import Epoch
from trainables.selection.ordering import in_order

STARTS = 10
_SEED = 0


def value(epoch: Epoch) -> float:
    """Adjusted mutual information: 1 where they are the same, 0 where they agree as chance would have it.

    Clusters are those of k-means with the least inertia of ``STARTS`` starts. Predictions of one class agree with any
    clusters as chance would have it.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_mutual_info_score

    if not epoch.target.described:
        return math.nan
    target = in_order(epoch.target)
    clusters = KMeans(2, n_init=STARTS, random_state=_SEED).fit_predict(target.features.astype(np.float64))
    return float(adjusted_mutual_info_score(target.predictions, clusters))

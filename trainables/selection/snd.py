"""Soft neighbourhood density: images of the target have many near neighbours in the space of features.

Saito et al. 2021 (arXiv 2108.10860). The paper takes the predictions of many classes for features; with two
classes nearly all predictions point in one of two directions, and the figure is little more than the sizes of the two
heaps. So it is the detector's features that are compared. Features that all fall into one heap are as dense as can be:
the rule does not see that collapse.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import entr, softmax

from trainables.selection.epoch import Epoch

TEMPERATURE = 0.05
"""The paper's own, for all its experiments."""

_SHORTEST = 1e-12
"""Features of no length point nowhere: their cosine with any others is 0."""


def value(epoch: Epoch) -> float:
    """Mean entropy in nats, in [0, log(N - 1)], of every image's similarities to the N - 1 others.

    For image i the weights of the others are ``softmax_j(cos(f_i, f_j) / TEMPERATURE)``, j != i.
    """
    if not epoch.target.described:
        return math.nan
    features = epoch.target.features.astype(np.float64)
    directions = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), _SHORTEST)
    similar = directions @ directions.T / TEMPERATURE
    np.fill_diagonal(similar, -np.inf)
    return float(entr(softmax(similar, axis=1)).sum(axis=1).mean())

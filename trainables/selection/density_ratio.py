"""How much more often an image of the source would be met in the target: the weights that two of the rules need.

``w(x) = p_target(f(x)) / p_source(f(x)) = (n_s / n_t) q_t(f(x)) / q_s(f(x))`` by Bayes' rule, where q_t and q_s are the
probabilities of the two domains, given the features f(x), by a classifier that tells n_s images of the source from n_t
of the target. You et al. 2019 (ICML, PMLR 97, "Towards Accurate Model Selection in Deep Unsupervised Domain
Adaptation"), algorithm 2; Bickel, Brückner & Scheffer 2007 (ICML).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainables.selection.epoch import Answers, Epoch
from trainables.selection.ordering import in_order
from trainables.selection.regression import log_odds_by

FOLDS = 3

_LARGEST_LOG_RATIO = 30.0
"""Beyond it a ratio is not estimated, and its square is no number any more."""

_LARGEST_LOG_ODDS = 700.0
"""What answers of infinite log odds are taken for: their loss would be infinite, however small its weight."""

Array = NDArray[np.float64]


def weighted_losses(epoch: Epoch) -> tuple[Array, Array] | None:
    """(N,) weights and (N,) losses of the source's images, in an order of their own.

    None where the answers or features of source or target are undefined, as with a single image of one of them.
    """
    if not epoch.source.described or not epoch.target.described:
        return None
    source, target = in_order(epoch.source), in_order(epoch.target)
    return density_ratios(source, target), cross_entropies(source)


def density_ratios(source: Answers, target: Answers) -> Array:
    """(N,) w of every image of the source, by a classifier that was not fitted to that image.

    Args:
        source: N images, at least two; every ``FOLDS``-th is in the same fold.
        target: at least one image; none of them is asked about, so that all take part in every fit.
    """
    folds = np.arange(len(source)) % min(FOLDS, len(source))
    log_ratios = np.empty(len(source))
    for fold in range(folds.max() + 1):
        known = source.features[folds != fold]
        features = np.concatenate([known, target.features])
        domains = np.repeat(np.array([0, 1]), [len(known), len(target)])
        found = log_odds_by(features, domains, source.features[folds == fold])
        log_ratios[folds == fold] = found + np.log(len(known) / len(target))
    return np.exp(np.clip(log_ratios, -_LARGEST_LOG_RATIO, _LARGEST_LOG_RATIO))


def cross_entropies(source: Answers) -> Array:
    """(N,) minus the log of the probability that the detector gives each image's label, in nats."""
    log_odds = np.clip(source.log_odds, -_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS)
    losses: Array = np.logaddexp(0, np.where(source.labels == 1, -log_odds, log_odds))
    return losses

"""The classifier that rules fit to features: one logistic regression, the same for every rule and every epoch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STRENGTH = 0.01
"""Inverse strength C of the L2 penalty, on features scaled to mean 0 and variance 1.

Features are often as many as half the images, and without a strong penalty a regression would tell any two sets of
them apart, and be sure of it.
"""

_ACCURACY = 1e-6
"""The largest gradient the solver stops at: figures are those of the optimum to five digits, not of the way there."""


def log_odds_by(
    features: NDArray[np.float32], labels: NDArray[np.int64], asked: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Log odds of label 1 against 0 for some images, by a regression fitted to others.

    Args:
        features: (N, D) of the images it is fitted to.
        labels: (N,) of them, 0 and 1, both among them.
        asked: (M, D) of the images it is asked about.

    Returns:
        (M,).
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    regression = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, tol=_ACCURACY, max_iter=10_000))
    regression.fit(features.astype(np.float64), labels)
    found: NDArray[np.float64] = regression.decision_function(asked.astype(np.float64))
    return found

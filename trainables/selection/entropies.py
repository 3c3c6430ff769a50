"""How sure predictions are one by one, and how mixed they are all together: what three of the rules are made of."""

from __future__ import annotations

import math

from scipy.special import entr

from trainables.selection.epoch import Answers


def mean_entropy(answers: Answers) -> float:
    """Mean entropy of the images' probabilities in nats, in [0, log 2]; NaN where the answers are not defined."""
    return float(entr(answers.probabilities).sum(axis=1).mean()) if answers.defined else math.nan


def entropy_of_mean(answers: Answers) -> float:
    """Entropy of the mean probabilities in nats, in [0, log 2]; NaN where the answers are not defined."""
    return float(entr(answers.probabilities.mean(axis=0)).sum()) if answers.defined else math.nan

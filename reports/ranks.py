"""Tests over pairs of generators: signed ranks against a baseline, and mean ranks of all methods.

The tests and their reading are those of Demsar 2006, "Statistical comparisons of classifiers over multiple data sets"
(JMLR 7), with a pair of generators for a data set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FEWEST_PAIRS, FEWEST_METHODS = 8, 3
"""Fewer than this are not tested: nothing short of unanimity could be told from chance."""

EXACT_PAIRS = 50
ALPHA = 0.05
_PLACES = 12  # figures that differ by rounding alone are equal


@dataclass(frozen=True, slots=True)
class Ranking:
    """How methods rank over pairs of generators, and how far apart ranks must be to differ.

    Attributes:
        ranks: mean rank of every method, 1 for the best; the best first.
        pairs: N, over which ranks are averaged.
        statistic, p: of Friedman's test, chi-squared with k - 1 degrees of freedom; p is 1 where all methods tie.
        critical_difference: Nemenyi's, at ``ALPHA``.
    """

    ranks: Mapping[str, float]
    pairs: int
    statistic: float
    p: float
    critical_difference: float

    @property
    def differs(self) -> bool:
        """Whether Friedman's test lets mean ranks be compared at all."""
        return self.p < ALPHA

    @property
    def alike(self) -> list[tuple[str, ...]]:
        """Every largest run of methods of which no two differ, the best first."""
        names, ranks = list(self.ranks), list(self.ranks.values())
        ends = [sum(rank - first < self.critical_difference for rank in ranks) for first in ranks]
        runs = [(start, end) for start, end in enumerate(ends) if end - start > 1]
        # A run that ends where an earlier one does lies within it.
        return [tuple(names[start:end]) for k, (start, end) in enumerate(runs) if not k or end > runs[k - 1][1]]


def signed_rank(gains: Sequence[float]) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test that gains lie around 0.

    Equal gains share their mean rank, and ranks of gains of 0 are split evenly between both signs. Up to
    ``EXACT_PAIRS`` the p-value is that of all assignments of signs, beyond it that of the normal approximation.
    """
    rounded = np.round(np.asarray(gains, dtype=np.float64), _PLACES)
    if not rounded.any():
        return 1.0
    if len(rounded) > EXACT_PAIRS:
        return float(stats.wilcoxon(rounded, zero_method="zsplit", method="asymptotic").pvalue)
    doubled = np.rint(2 * stats.rankdata(np.abs(rounded))).astype(np.int64)[rounded != 0]  # whole numbers
    below = _chance_of_sums(doubled).cumsum()
    positive = int(doubled[rounded[rounded != 0] > 0].sum())
    rarer = min(positive, int(doubled.sum()) - positive)  # the distribution is symmetric
    return min(1.0, 2 * float(below[rarer]))


def _chance_of_sums(ranks: NDArray[np.int64]) -> NDArray[np.float64]:
    """(sum + 1,) chances that the ranks with a positive sign add up to 0, 1, …, where either sign is as likely."""
    chance = np.zeros(int(ranks.sum()) + 1)
    chance[0] = 1.0
    for rank in ranks:
        chance[rank:] = (chance[rank:] + chance[:-rank]) / 2
        chance[:rank] /= 2
    return chance


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, so that one below a level is an error of the whole family at that level.

    Holm 1979: the i-th smallest of m is multiplied by m - i + 1, and none is smaller than one before it.
    """
    m = len(p_values)
    corrected, largest = [0.0] * m, 0.0
    for place, index in enumerate(sorted(range(m), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (m - place) * p_values[index]))
        corrected[index] = largest
    return corrected


def rank_methods(values: Mapping[str, Sequence[float]]) -> Ranking:
    """Rank methods over pairs of generators.

    Args:
        values: by method, one figure a pair (the higher the better), of the same pairs in the same order; three
            methods or more.
    """
    table = np.round(np.array(list(values.values()), dtype=np.float64), _PLACES)  # (k, N)
    methods, pairs = table.shape
    ranks = stats.rankdata(-table, axis=0).mean(axis=1)
    order = np.argsort(ranks, kind="stable")
    names = list(values)
    if (table == table[0]).all():
        statistic, p = 0.0, 1.0
    else:
        statistic, p = (float(found) for found in stats.friedmanchisquare(*table))
    return Ranking({names[i]: float(ranks[i]) for i in order}, pairs, statistic, p, critical_difference(methods, pairs))


def critical_difference(methods: int, pairs: int, alpha: float = ALPHA) -> float:
    """Nemenyi's: mean ranks of k methods over N pairs differ if they are ``q * sqrt(k (k + 1) / 6N)`` apart.

    q is the quantile of the studentized range of k with infinitely many degrees of freedom, over the square root of 2.
    """
    q = float(stats.studentized_range.ppf(1 - alpha, methods, np.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * pairs))

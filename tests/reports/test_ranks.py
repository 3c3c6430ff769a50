"""Tests over pairs: against Demsar's worked examples, SciPy's own tests and every assignment of signs."""

from __future__ import annotations

from itertools import product
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import stats

from reports.rank_figure import critical_difference_figure
from reports.ranks import EXACT_PAIRS, Ranking, critical_difference, holm, rank_methods, signed_rank

# Demsar 2006, table 6: ranks of four decision trees over 14 data sets, and table 2: differences of the first two.
NAMES = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")
RANKS = [
    *((4, 3, 2, 1), (1, 2, 3, 4), (4, 1, 2, 3), (4, 1, 3, 2), (4, 2, 3, 1), (1, 2.5, 4, 2.5), (3, 2, 4, 1)),
    *((2.5, 2.5, 4, 1), (4, 3, 2, 1), (2.5, 2.5, 2.5, 2.5), (4, 2.5, 1, 2.5), (3, 2, 4, 1), (4, 1, 2, 3), (3, 1, 4, 2)),
]
GAINS = (0.005, -0.008, 0.017, 0.033, 0.006, -0.005, 0.007, 0.0, 0.063, 0.0, 0.022, 0.047, 0.009, 0.021)


def demsar() -> Ranking:
    columns = zip(*RANKS, strict=True)
    return rank_methods({name: [-rank for rank in ranks] for name, ranks in zip(NAMES, columns, strict=True)})


def every_assignment_of_signs(gains: np.ndarray) -> float:
    """The two-sided p-value by counting: how often signs drawn at random give a rank sum as far from the middle."""
    ranks = stats.rankdata(np.abs(gains))[gains != 0]  # a gain of 0 gives half its rank to either side
    known = float(ranks @ np.sign(gains[gains != 0]))
    sums = np.array([ranks @ np.array(signs) for signs in product((-1, 1), repeat=len(ranks))])
    return float(np.mean(np.abs(sums) >= abs(known) - 1e-9))


def test_ranks_and_friedmans_statistic_are_those_of_demsars_example() -> None:
    found = demsar()
    known = {"C4.5+m+cf": 1.964, "C4.5+m": 2.0, "C4.5+cf": 2.893, "C4.5": 3.143}
    assert list(found.ranks) == list(known)
    assert found.ranks == pytest.approx(known, abs=5e-4)
    # The book's 9.28 leaves out the correction for ties, which SciPy makes.
    squares = sum(rank**2 for rank in found.ranks.values())
    assert 12 * 14 / (4 * 5) * (squares - 4 * 25 / 4) == pytest.approx(9.28, abs=0.01)
    assert found.statistic == pytest.approx(stats.friedmanchisquare(*zip(*RANKS, strict=True)).statistic)
    assert found.differs
    assert found.critical_difference == pytest.approx(1.25, abs=0.01)
    assert found.alike == [("C4.5+m+cf", "C4.5+m", "C4.5+cf", "C4.5")]


@pytest.mark.parametrize(
    ("methods", "q"),
    list(enumerate((1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164), start=2)),
)
def test_critical_difference_has_the_published_quantiles(methods: int, q: float) -> None:
    """Demsar 2006, table 5a, at 0.05."""
    pairs = 12
    known = q * (methods * (methods + 1) / (6 * pairs)) ** 0.5
    assert critical_difference(methods, pairs) == pytest.approx(known, rel=5e-4)


def test_signed_rank_of_demsars_example() -> None:
    """R+ = 93 and R- = 12: z = -2.54."""
    p = signed_rank(GAINS)
    assert p == pytest.approx(every_assignment_of_signs(np.array(GAINS)))
    assert p == pytest.approx(2 * stats.norm.cdf(-2.54), abs=0.004)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("decimals", [1, 9])
def test_signed_rank_counts_every_assignment_of_signs_ties_and_zeros_included(seed: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    gains = np.round(rng.normal(0.3, 1, size=9), decimals)
    gains[: seed % 3] = 0
    assert signed_rank(gains.tolist()) == pytest.approx(every_assignment_of_signs(gains))


def test_signed_rank_equals_scipys_exact_and_asymptotic_tests() -> None:
    few, many = (np.random.default_rng(0).normal(0.3, 1, size=n) for n in (30, EXACT_PAIRS + 10))
    assert signed_rank(few.tolist()) == pytest.approx(stats.wilcoxon(few, method="exact").pvalue)
    assert signed_rank(many.tolist()) == pytest.approx(stats.wilcoxon(many, method="asymptotic").pvalue)


def test_gains_that_are_all_nothing_are_no_evidence() -> None:
    assert signed_rank([0.0] * 12) == 1
    assert signed_rank([1e-17, -1e-17] * 6) == 1


def test_holm_equals_the_rejections_of_its_step_down_procedure() -> None:
    p_values = [0.01, 0.04, 0.03, 0.005, 0.2]
    corrected = holm(p_values)
    assert corrected == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.2])
    for level in (0.01, 0.03, 0.045, 0.1, 0.3):
        ordered = sorted(range(5), key=p_values.__getitem__)
        rejected = set()
        for place, index in enumerate(ordered):
            if p_values[index] > level / (5 - place):
                break
            rejected.add(index)
        assert rejected == {index for index, p in enumerate(corrected) if p <= level}


def test_corrected_p_values_are_at_most_1_and_of_one_test_its_own() -> None:
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_methods_that_tie_everywhere_do_not_differ() -> None:
    found = rank_methods(dict.fromkeys("abc", [0.5, 0.6] * 4))
    assert set(found.ranks.values()) == {2.0}
    assert not found.differs
    assert found.alike == [("a", "b", "c")]


def test_diagram_names_every_method_once_and_is_the_same_every_time() -> None:
    svg = critical_difference_figure(demsar(), "tree")
    assert svg == critical_difference_figure(demsar(), "tree")
    written = [text.strip() for text in ElementTree.fromstring(svg).itertext() if text.strip()]
    known = [f"{name} {rank:.2f}" for name, rank in demsar().ranks.items()]
    assert [" ".join(text.split()) for text in written if text.startswith("C4.5")] == known
    assert "critical difference 1.25" in written


def test_runs_of_methods_that_do_not_differ_are_the_largest_ones() -> None:
    ranking = Ranking({"a": 1.0, "b": 1.5, "c": 2.6, "d": 3.0, "e": 6.0}, 12, 20.0, 0.001, 1.6)
    assert ranking.alike == [("a", "b"), ("b", "c", "d")]

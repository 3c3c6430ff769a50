"""The rich models against what the paper prints, and against derivatives of polynomials."""

from __future__ import annotations

import numpy as np
import pytest

from trainables.filters import AROUND, FIRST, RIGHT, SQUARE_3, SQUARE_5, THIRD, edges, four_models, line, rich_models

BANK = np.stack(rich_models())


def _equal_to(kernel: np.ndarray) -> int:
    """How many of the bank are this kernel."""
    return int((kernel == BANK).all(axis=(1, 2)).sum())


def test_there_are_thirty_different_ones_that_sum_to_nothing() -> None:
    assert BANK.shape == (30, 5, 5)
    assert len({kernel.tobytes() for kernel in BANK}) == 30
    np.testing.assert_array_equal(BANK.sum(axis=(1, 2)), 0)


def test_turning_the_bank_by_a_quarter_or_mirroring_it_gives_the_same_bank() -> None:
    for turned in (np.rot90(BANK, axes=(1, 2)), BANK[:, ::-1], BANK[:, :, ::-1]):
        # A second derivative comes back as itself; of the others no two fall together.
        assert sorted(kernel.tolist() for kernel in turned) == sorted(kernel.tolist() for kernel in BANK)


def test_the_largest_weights_are_the_papers_divisors() -> None:
    largest = np.abs(BANK).max(axis=(1, 2))
    np.testing.assert_array_equal(largest, [1] * 8 + [2] * 4 + [3] * 8 + [4] * 5 + [12] * 5)


@pytest.mark.parametrize(("first", "order"), [(0, 1), (8, 2), (12, 3)])
def test_a_derivative_of_an_order_is_blind_to_lower_ones_and_measures_its_own(first: int, order: int) -> None:
    kernels = BANK[first : first + (4 if order == 2 else 8)]
    rows, columns = np.indices((5, 5)) - 2
    for towards, kernel in zip(AROUND, kernels, strict=False):
        along = rows * towards[0] + columns * towards[1]
        steps = along / (towards[0] ** 2 + towards[1] ** 2)
        for power in range(order):
            assert (kernel * steps**power).sum() == pytest.approx(0)
        assert abs((kernel * steps**order).sum()) == pytest.approx([1, 2, 6][order - 1])


def test_an_edge_is_the_half_of_its_square_in_one_direction() -> None:
    for square, known in ((SQUARE_3, [0, 0, 0, 0, 0]), (SQUARE_5, [-1, 2, -2, 2, -1])):
        upper, left, lower, right = edges(square)
        assert upper[0].tolist() == left[:, 0].tolist() == lower[4].tolist() == right[:, 4].tolist() == known
        # The middle row is in both halves, the middle column likewise.
        np.testing.assert_array_equal((upper + lower)[[0, 1, 3, 4]], square[[0, 1, 3, 4]])
        np.testing.assert_array_equal((left + right)[:, [0, 1, 3, 4]], square[:, [0, 1, 3, 4]])
        np.testing.assert_array_equal(upper[2], square[2])
        np.testing.assert_array_equal(left[:, 2], square[:, 2])


def test_the_four_of_residual_cnn_are_among_them() -> None:
    assert len(four_models()) == 4
    assert all(_equal_to(kernel) == 1 for kernel in four_models())
    assert four_models()[0][2].tolist() == four_models()[1][:, 2].tolist() == [0, 1, -2, 1, 0]


def test_first_and_third_order_as_printed() -> None:
    assert line(FIRST, RIGHT)[2].tolist() == [0, 0, -1, 1, 0]
    assert line(THIRD, RIGHT)[2].tolist() == [0, -1, 3, -3, 1]

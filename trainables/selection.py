"""Rules that choose the epoch of a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

Curves = Sequence[Mapping[str, float]]
Rule = Callable[[Curves], int]


def source_val(curves: Curves) -> int:
    """Position of the epoch with the best accuracy on held-out source images; of equals, the latest.

    Held-out source accuracy soon stands at its maximum and stays there. The first epoch to reach it would be a
    barely adapted model; the latest has had the most training (and alignment) at no cost on the source.
    """
    return max(range(len(curves)), key=lambda epoch: (curves[epoch]["val_accuracy"], epoch))


def last(curves: Curves) -> int:
    """Position of the last epoch: the length is fixed beforehand, and nothing is chosen.

    For trainings whose source accuracy says nothing of what they are for, and would choose the epoch that did least.
    """
    return len(curves) - 1

"""A rule applied to the rows of a training: which epoch's weights are kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

Curves = Sequence[Mapping[str, float]]
Rule = Callable[[Curves], int]

COLUMN: Mapping[str, str] = {"source_val": "val_accuracy"}
"""Where a row has a rule's figure, if it is not under the rule's own name."""


def best(name: str) -> Rule:
    """The rule of this name: position of the epoch with its largest figure; of equals, the latest.

    Held-out source accuracy soon stands at its maximum and stays there. The first epoch to reach it would be a
    barely adapted model; the latest has had the most training (and alignment) at no cost on the source. An epoch
    whose figure is undefined is chosen only where all are.
    """
    column = COLUMN.get(name, name)

    def rule(curves: Curves) -> int:
        figures = [row[column] for row in curves]
        return max(range(len(figures)), key=lambda epoch: (_defined(figures[epoch]), epoch))

    return rule


source_val = best("source_val")
"""The default: accuracy on held-out source images."""


def last(curves: Curves) -> int:
    """Position of the last epoch: the length is fixed beforehand, and nothing is chosen.

    For trainings whose source accuracy says nothing of what they are for, and would choose the epoch that did least.
    """
    return len(curves) - 1


def _defined(figure: float) -> float:
    return -math.inf if math.isnan(figure) else figure

"""The rule that chose the models of a table, and the models that stand apart because the target's labels made them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from orchestrator.plan.cells import Cell

SOURCE_ONLY = "source_only"
ORACLE = "oracle"
"""The selection of what was trained on labels of the target: a bound, shown beside the methods and never among them."""


class MixedSelectionError(ValueError):
    """Figures of models that were chosen by different rules were about to share a table."""


def one_selection(selections: Iterable[str]) -> str:
    """The one selection rule of a table.

    Raises:
        MixedSelectionError: there is more than one.
    """
    found = sorted(set(selections))
    if len(found) > 1:
        raise MixedSelectionError(f"one table cannot hold models chosen by different rules: {', '.join(found)}")
    return found[0] if found else ""


def split_oracles(cells: Iterable[Cell]) -> tuple[str, tuple[str, ...]]:
    """The one rule by which the methods' models were chosen, and the names of the oracles, in the plan's order.

    An oracle is an adaptation all of whose models were chosen by the target's labels; where the source detectors were
    chosen so too, that is the study's rule, and nothing stands apart.

    Raises:
        MixedSelectionError: the methods' models were chosen by more than one rule: some perhaps by the target's labels.
    """
    rules: dict[str, set[str]] = defaultdict(set)
    for cell in cells:
        rules[cell.tags.adaptation].add(cell.tags.selection)
    oracles = tuple(name for name, found in rules.items() if found == {ORACLE})
    if SOURCE_ONLY in oracles:
        oracles = ()
    return one_selection(rule for name, found in rules.items() if name not in oracles for rule in found), oracles

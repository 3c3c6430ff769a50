"""The rule that chose the models of a table, and the models that stand apart because the target's labels made them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from orchestrator.plan.cells import Cell, Stage
from trainables.registry import find

SOURCE_ONLY = "source_only"
SOURCE_VAL = "source_val"
"""The rule that chooses every source detector, whatever the study's is."""
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
    """The one rule by which the adapted models were chosen, and the names of the oracles, in the plan's order.

    An oracle is an adaptation that trains on the target's labels, beside methods that were chosen without them. Where
    the study's rule is ``oracle``, the target's labels chose every model, and nothing stands apart. A source detector
    is always chosen by ``source_val``, and may be in the table of any rule; sequences of generators are in none.

    Raises:
        MixedSelectionError: the adapted models were chosen by more than one rule: some perhaps by the target's labels.
    """
    rules: dict[str, set[str]] = defaultdict(set)
    bounds: set[str] = set()
    for cell in cells:
        tags = cell.tags
        if tags.target != tags.source and not tags.sequence:
            rules[tags.adaptation].add(tags.selection)
            if cell.stage is Stage.ADAPT and ORACLE in find("adaptations", cell.method).traits:
                bounds.add(tags.adaptation)
    rule = one_selection(rule for name, found in rules.items() if name not in bounds for rule in found)
    return rule or SOURCE_VAL, tuple(name for name in rules if name in bounds and rule != ORACLE)

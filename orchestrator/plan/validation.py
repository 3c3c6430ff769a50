"""The cell that tells what every rule of selection would have chosen of an adaptation's epochs."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.plan.cells import Cell, Digest, Reading, Stage
from trainables.registry import find


def validation(adapted: Cell, rules: Iterable[str], *reads: Reading) -> Cell:
    """The cell that applies rules to what an adaptation has kept of every epoch; it trains nothing.

    Args:
        adapted: an adapt cell that is watched.
        rules: by name; in no order.
        reads: the target's test images, whose labels tell what each rule's choice is worth.
    """
    watched = adapted.params["watched"]
    assert isinstance(watched, dict)
    return Cell(
        stage=Stage.VALIDATE,
        method="rules",
        needs=(adapted.id,),
        params={
            "rules": {name: find("selections", name).version for name in sorted(rules)},
            "image": adapted.params["image"],
            **{key: adapted.params[key] for key in ("source", "taken") if key in adapted.params},
            "target": adapted.params["target"],
            "train_reals": adapted.params["train_reals"],
            "test_reals": adapted.params["test_reals"],
            "watched": watched,
        },
        reads=reads,
        data=Digest(str(watched["test"])),
        tags=adapted.tags,
    )

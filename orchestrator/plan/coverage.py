"""Whether there are images for everything that a study asks of its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.plan.catalogue import Catalogue
from trainables.contract import Split
from trainables.errors import InputError

_PURPOSE = {
    Split.TRAIN: "to train on",
    Split.VAL: "to choose a checkpoint with",
    Split.ADAPT: "to adapt to",
    Split.FEW: "for methods that need some with labels",
    Split.TEST: "to test on",
}


def require_images(catalogue: Catalogue, chosen: Mapping[str, Sequence[str]], *splits: Split) -> None:
    """Raise unless every generator has images in every split.

    Args:
        chosen: generators and real sources, by the study's key that chose them.

    Raises:
        InputError: one has none; the message names it, the split and the key.
    """
    for split in splits:
        for key, names in chosen.items():
            having = [name for name in names if catalogue.count([name], split)]
            if lacking := [name for name in names if name not in having]:
                raise InputError(
                    f"{lacking[0]} has no images in the split `{split}`, {_PURPOSE[split]}",
                    where=key,
                    value=list(names),
                    fix=f"write [{', '.join(having)}], or add images"
                    if having
                    else "add images, or give it a share: in `splits`, or in `data.divide` where the layout has parts",
                )

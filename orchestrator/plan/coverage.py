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


def require_third(rule: str, third: Mapping[tuple[str, str], Sequence[str]]) -> None:
    """Raise unless every pair of source and target leaves the rule a generator that is neither.

    Args:
        third: generators with held-out images, by pair.

    Raises:
        InputError: a pair leaves none; the message names it.
    """
    for (source, target), names in third.items():
        if not names:
            raise InputError(
                f"there is no third generator beside {source} and {target} with images in the split `val`",
                where="selection",
                value=rule,
                fix="add a generator, or write another rule first: those after the first may be undefined",
            )


def require_held_out(catalogue: Catalogue, rule: str, targets: Mapping[str, Sequence[str]]) -> None:
    """Raise unless every target has the labelled images that the rule reads.

    Args:
        targets: the real sources that stand against each target.

    Raises:
        InputError: a target or one of its real sources has none; the message names it.
    """
    for name in dict.fromkeys(name for target, reals in targets.items() for name in (target, *reals)):
        if not catalogue.count([name], Split.VAL):
            raise InputError(
                f"{name} has no images in the split `val`, whose labels this rule reads",
                where="selection",
                value=rule,
                fix="add images, give the split a share in `splits`, or write another rule first",
            )


def require_few(catalogue: Catalogue, wanted: Mapping[str, int], targets: Mapping[str, Sequence[str]]) -> None:
    """Raise unless the ``few`` split has as many images of each class as the methods draw.

    Args:
        wanted: images of each class, by adaptation.
        targets: the real sources that stand against each target; they count together.

    Raises:
        InputError: it has fewer; the message tells of whom, and how many.
    """
    for adaptation, k in wanted.items():
        for target, reals in targets.items():
            there = {"fake": catalogue.count([target], Split.FEW), "real": catalogue.count(reals, Split.FEW)}
            kind, least = min(there.items(), key=lambda found: found[1])
            if least < k:
                raise InputError(
                    f"{adaptation} draws {k} {kind} images for {target}, and the split `few` has {least}",
                    where="adaptations",
                    value=f"k: {k}",
                    fix=f"take k of {least} at most, or give the split a larger share in `splits`",
                )

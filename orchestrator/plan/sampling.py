"""How many images of a generator are taken where not all are: the first so many by content digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.plan.catalogue import Catalogue
from trainables.contract import Split

Taken = Mapping[str, Mapping[str, int]]
"""By split, then by generator or real source; of those that are not named all images are taken."""

TRAINING = (Split.TRAIN, Split.VAL, Split.FUSION)
"""The splits that source detectors are trained and chosen with."""


def balanced(catalogue: Catalogue, fakes: Sequence[str], reals: Sequence[str]) -> Taken:
    """As many images of each generator that they are together no more than the reals.

    All generators give the same number, but for one that has fewer: then the others make up for it, as far as they
    can. Where the fakes are fewer than the reals all are taken; reals are never left out.
    """
    found: dict[str, dict[str, int]] = {}
    for split in TRAINING:
        counts = {fake: catalogue.count([fake], split) for fake in fakes}
        shares = _shares(counts, catalogue.count(reals, split))
        found[split.value] = {fake: share for fake, share in shares.items() if share < counts[fake]}
    return {split: counts for split, counts in found.items() if counts}


def _shares(counts: Mapping[str, int], total: int) -> Mapping[str, int]:
    """Of each at most its count, as equal as can be, and no more than the total together; each gives one at least."""
    shares: dict[str, int] = {}
    left = total
    for rest, (name, count) in zip(range(len(counts), 0, -1), sorted(counts.items(), key=_by_count), strict=True):
        shares[name] = min(count, max(1, left // rest))
        left -= shares[name]
    return {name: shares[name] for name in counts}


def _by_count(item: tuple[str, int]) -> tuple[int, str]:
    return item[1], item[0]

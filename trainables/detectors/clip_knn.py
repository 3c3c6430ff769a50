"""Nearest neighbours in CLIP's feature space: fake if most of the k nearest images, by cosine, are fake.

Ojha, Li & Lee 2023 (arXiv 2302.10174), section 4.2, with voting pools of 1, 3, 5 and 9 images. For odd k the vote is
won by the class whose ((k + 1) / 2)-th nearest image is nearer; the difference of those two cosines is the score. It
has the vote's sign, and it tells close votes from clear ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from trainables.clip import OnClip
from trainables.contract import FAKE, REAL, Context, Images, Outcome
from trainables.errors import InputError
from trainables.seeding import generator

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(OnClip):
    """Parameters of ``clip_knn``.

    Attributes:
        k: images that vote.
        bank: images kept of each class, drawn by the cell's seed where there are more; each takes 4 D bytes.
    """

    k: Literal[1, 3, 5, 9] = 1
    bank: int = Field(default=20_000, ge=5)


def build(config: Config, classes: int) -> Detector:
    """A detector with banks of random directions, as many as vote, on CLIP's image tower.

    Raises:
        InputError: the weights are missing, unreadable or another model's.
    """
    from trainables.neighbours import Neighbours

    def head(features: int, classes: int) -> Neighbours:
        return Neighbours(features, config.k, classes)

    return config.backbone(as_is=True).frozen().detector(head, classes)


def solve(config: Config, detector: Detector, source: Images, source_val: Images, context: Context) -> Outcome:
    """Fill the banks with the source's features; a temperature makes scores probabilities, and leaves votes alone.

    Raises:
        InputError: there are no weights, or fewer images of a class than votes that can decide.
    """
    from trainables.clip import check_weights
    from trainables.features import kept_features
    from trainables.fit import Fitted
    from trainables.neighbours import Neighbours, temper

    check_weights(config)
    assert isinstance(detector.head, Neighbours)
    known, held_out = (kept_features(detector, part.pixels, context) for part in (source, source_val))
    banks = [known[_drawn(source, label, config, context.seed)] for label in (REAL, FAKE)]
    detector.head.remember(*banks)
    row = {"epoch": 1.0, **temper(detector, held_out, source_val)}
    context.report(row)
    return Fitted(curves=(row,), chosen=0, images=len(source)).outcome()


def _drawn(source: Images, label: int, config: Config, seed: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Positions of a class's images that are kept."""
    found = np.flatnonzero(source.labels == label)
    if len(found) < (config.k + 1) // 2:
        fix = f"give it {(config.k + 1) // 2} of each class at the least"
        raise InputError(f"a vote of {config.k} needs more images of label {label}", value=len(found), fix=fix)
    if len(found) <= config.bank:
        return found
    return np.sort(generator(seed, "bank", label).choice(found, config.bank, replace=False))

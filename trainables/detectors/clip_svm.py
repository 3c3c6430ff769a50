"""CLIP's pooled features as they are, under a linear SVM that a handful of images is enough for.

Cozzolino, Poggi, Corvi, Niessner & Verdoliva 2024, "Raising the bar of AI-generated image detection with CLIP" (CVPR
Workshops, arXiv 2312.00195): N real and N fake images of one generator, N from 10 to 10 000, best where both show the
same scenes. They read the features before CLIP's last projection; these are the projected ones, as in ``clip_linear``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from trainables.clip import OnClip
from trainables.contract import FAKE, REAL, Context, Images, Outcome
from trainables.errors import InputError
from trainables.seeding import generator
from trainables.solving import LinearHead

if TYPE_CHECKING:
    from trainables.detector import Detector


class Config(OnClip, LinearHead):
    """Parameters of ``clip_svm``.

    Attributes:
        head: a linear SVM.
        penalty: of the L2 penalty, 1 / C.
        images: N, images of each class that it is fitted to, drawn by the cell's seed; all if not given.
    """

    head: Literal["svm"] = "svm"
    penalty: PositiveFloat = 1.0
    images: PositiveInt | None = None


def build(config: Config, classes: int) -> Detector:
    """A detector with a random head on CLIP's image tower.

    Raises:
        InputError: the weights are missing, unreadable or another model's.
    """
    from trainables.heads import linear

    return config.backbone(as_is=True).frozen().detector(linear, classes)


def solve(config: Config, detector: Detector, source: Images, source_val: Images, context: Context) -> Outcome:
    """Fit the head to features of N images of each class, and its probabilities to held-out images.

    Raises:
        InputError: there are no weights, or fewer than N images of a class.
    """
    from trainables import solving
    from trainables.clip import check_weights

    check_weights(config)
    if config.images is not None:
        source = _drawn(source, config.images, context.seed)
    return solving.solve(config, detector, source, source_val, context)


def _drawn(source: Images, count: int, seed: int) -> Images:
    """So many images of each class, in the order in which they come."""
    chosen = []
    for label in (REAL, FAKE):
        found = np.flatnonzero(source.labels == label)
        if len(found) < count:
            raise InputError(f"{count} images of each class are asked for", value=f"{len(found)} of label {label}")
        chosen.append(generator(seed, "images", label).choice(found, count, replace=False))
    return source.take(np.sort(np.concatenate(chosen)))

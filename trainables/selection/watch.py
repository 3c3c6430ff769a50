"""Watching an adaptation: after every epoch the detector is asked about the same images, and its answers are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.contract import Context, Images, Pixels, Unlabelled
from trainables.data.stack import Stack
from trainables.detector import Detector
from trainables.errors import LabelLeakError
from trainables.pseudo import predict
from trainables.registry import find
from trainables.score import digest_of, log_odds, part_of, seen_whole
from trainables.selection.rule import COLUMN
from trainables.selection.trace import ORACLE, SOURCE, TARGET, TEST, Known, Trace, narrowed

MOST, MOST_TESTED = 256, 1024
"""Images of a set that are looked at, and of ``test``: a small share of what a training epoch reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Some images of a set, always the same ones.

    Attributes:
        pixels: (N * views, H, W, 3) uint8, read when they are looked at.
        ids: N content digests.
        views: squares an image is seen through; those of one image follow each other.
        top: how many of them count for its score, the highest; all if not given.
    """

    pixels: Pixels
    ids: tuple[str, ...]
    views: int = 1
    top: int | None = None

    @classmethod
    def of(cls, images: Images | Unlabelled, *, views: int = 1, top: int | None = None, most: int = MOST) -> Sample:
        """The images with the smallest digests, ``most`` of them.

        That is a random sample: it depends neither on a label nor on the images' order, and grows by single images as
        the set does. Its classes are about as many as the set's by chance alone.
        """
        digests = np.array([digest_of(square) for square in images.ids[::views]])
        first = np.argsort(digests, kind="stable")[:most]
        squares = (first[:, None] * views + np.arange(views)).reshape(-1)
        return cls(pixels=Stack([images.pixels], squares), ids=tuple(digests[first].tolist()), views=views, top=top)


class Watcher:
    """Keeps what a detector says after every epoch of an adaptation, and tells the figure of the study's rule.

    It draws no random number, and leaves the detector and its mode as they are. Where several workers train together
    each of them has one, asks about its part of the images, and keeps the answers to all.

    Args:
        rule: of selection, by name: the study's own.
        samples: by set: ``source``, ``target``, ``test``, and where there are any ``oracle`` and ``third/…``.
        known: labels of the source's images; of the target's only ``oracle``, and that for the rule of this name.

    Raises:
        LabelLeakError: labels are given that the rule must not know.
    """

    def __init__(self, rule: str, samples: Mapping[str, Sample], known: Known) -> None:
        allowed = {SOURCE, ORACLE} if ORACLE in find("selections", rule).traits else {SOURCE}
        if leaked := sorted(known.keys() - allowed):
            raise LabelLeakError(f"the rule `{rule}` must not know labels of these images: {', '.join(leaked)}")
        self.rule = rule
        self._samples, self._known = samples, known
        self.trace = Trace(ids={name: sample.ids for name, sample in samples.items()})

    def watch(self, detector: Detector, context: Context) -> Mapping[str, float]:
        """Keep what the detector says now.

        Returns:
            The rule's figure by its name; nothing where an epoch's row has it already.
        """
        self.look(detector, context)
        return {} if self.rule in COLUMN else {self.rule: self.trace.value(self.rule, -1, self._known)}

    def look(self, detector: Detector, context: Context) -> None:
        """Keep what the detector says now, and judge nothing."""
        odds: dict[str, NDArray[np.float32]] = {}
        features: dict[str, NDArray[np.float16]] = {}
        for name, sample in self._samples.items():
            seen = predict(detector, sample.pixels, context) if name in (SOURCE, TARGET) else None
            if seen is not None:
                features[name] = narrowed(_of_images(seen.features, sample.views))
            if seen is not None and detector.views == 1:
                found = seen.log_odds
            else:  # its answer is the mean over views, of which the features are those of one
                found = context.gather(log_odds(detector, part_of(sample.pixels, context), context.device))
            odds[name] = seen_whole(found.astype(np.float64), sample.views, sample.top).astype(np.float32)
        self.trace = self.trace.grown(odds, features)

    def state(self) -> dict[str, Any]:
        """What was kept so far, as a tree for ``Context.save_state``."""
        import torch

        arrays = {"log_odds": self.trace.log_odds, "features": self.trace.features}
        return {kind: {name: torch.from_numpy(a) for name, a in kept.items()} for kind, kept in arrays.items()}

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Go on from what was kept before; None: from nothing."""
        kept = {kind: {name: a.numpy() for name, a in arrays.items()} for kind, arrays in (state or {}).items()}
        self.trace = Trace(ids=self.trace.ids, **kept)


def most_of(name: str) -> int:
    """How many images of a set are looked at."""
    return MOST_TESTED if name == TEST else MOST


def _of_images(features: NDArray[np.float32], views: int) -> NDArray[np.float32]:
    """(N * views, D) features of squares to those of images: their mean."""
    if views == 1:
        return features
    means: NDArray[np.float32] = features.reshape(-1, views, features.shape[1]).mean(axis=1)
    return means

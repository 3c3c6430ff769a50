"""The trace of an adaptation: what its detector said of the same images after every epoch, kept in one file.

Rules of selection are functions of it, so a rule that is named later needs no training. There is no label in it: those
that a rule may read are given when it is asked.

Neither is there a pixel. Features wider than ``WIDTH`` are kept as a fixed random projection, which keeps distances
and angles between images to within about a tenth (Johnson & Lindenstrauss 1984): rules look at nothing else of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from trainables.errors import InputError, LabelLeakError
from trainables.registry import find
from trainables.seeding import generator
from trainables.selection.epoch import Answers, Epoch
from trainables.writing import write_bytes

EPOCHS = "epochs.safetensors"
"""The trace's file in an adapt cell's folder."""

SOURCE, TARGET, ORACLE, TEST, THIRD = "source", "target", "oracle", "test", "third/"
"""Names of the sets of images; that of a third generator's fakes is its own, after ``THIRD``."""

WIDTH = 128
"""Of the features that are kept, at the most."""

Float = TypeVar("Float", bound=np.floating[Any])

Known = Mapping[str, Mapping[str, int]]
"""Labels by set and image, 1 = fake: the source's, and the target's for a rule that reads them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """E detectors, one after each epoch, on N images of every set; of a finished cell the last is what it handed back.

    Attributes:
        ids: content digests of each set's images.
        log_odds: (E, N) float32 by set, log of P(fake) / P(real).
        features: (E, N, D) float16 of source and target, as ``narrowed`` leaves them.
    """

    ids: Mapping[str, Sequence[str]]
    log_odds: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    features: Mapping[str, NDArray[np.float16]] = field(default_factory=dict)

    def __len__(self) -> int:
        return next((len(odds) for odds in self.log_odds.values()), 0)

    def grown(self, odds: Mapping[str, NDArray[np.float32]], features: Mapping[str, NDArray[np.float16]]) -> Trace:
        """With one more detector.

        Args:
            odds: (N,) by set, of all sets.
            features: (N, D) by set, of source and target.
        """
        return Trace(ids=self.ids, log_odds=_below(self.log_odds, odds), features=_below(self.features, features))

    def value(self, rule: str, row: int, known: Known) -> float:
        """A rule's figure of one detector, larger is better; NaN where it is undefined.

        Args:
            rule: by name.
            row: of the detector, from 0; -1 is the last.
            known: of the target's labels only a rule with the trait ``oracle`` is given any.

        Raises:
            LabelLeakError: among them are labels of images that nobody may know; or the rule asks for others.
        """
        entry = find("selections", rule)
        given = {name: known[name] for name in known if name != ORACLE or ORACLE in entry.traits}
        return float(entry.load().value(self.epoch(row, given)))

    def epoch(self, row: int, known: Known) -> Epoch:
        """What a rule may look at of one detector.

        Args:
            known: labels of ``source``, and of ``oracle`` for the rule of that name alone.

        Raises:
            LabelLeakError: there are others among them.
        """
        if leaked := sorted(known.keys() - {SOURCE, ORACLE}):
            raise LabelLeakError(f"no rule may be given labels of these images: {', '.join(leaked)}")
        fakes = {name: dict.fromkeys(self.ids[name], 1) for name in self.ids if name.startswith(THIRD)}
        return Epoch(
            source=self._answers(SOURCE, row, known[SOURCE]),
            target=self._answers(TARGET, row),
            third={name.removeprefix(THIRD): self._answers(name, row, labels) for name, labels in fakes.items()},
            oracle=self._answers(ORACLE, row, known[ORACLE]) if ORACLE in known else None,
        )

    def _answers(self, name: str, row: int, labels: Mapping[str, int] | None = None) -> Answers:
        odds = self.log_odds[name][row].astype(np.float64)
        kept = self.features.get(name)
        features = np.empty((len(odds), 0), np.float32) if kept is None else kept[row].astype(np.float32)
        known = None if labels is None else np.array([labels[image] for image in self.ids[name]], np.int64)
        return Answers(log_odds=odds, features=features, known=known)

    def save(self, path: Path) -> None:
        """Write it as one safetensors file, whole or not at all."""
        from safetensors.numpy import save

        arrays: dict[str, NDArray[Any]] = {f"log_odds/{name}": odds for name, odds in self.log_odds.items()}
        arrays |= {f"features/{name}": features for name, features in self.features.items()}
        ids = json.dumps({name: list(images) for name, images in self.ids.items()})
        write_bytes(path, save(arrays, metadata={"ids": ids}))

    @classmethod
    def load(cls, path: Path) -> Trace:
        """The trace that ``save`` wrote.

        Raises:
            InputError: there is none, or the file is not one.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="np") as file:
                ids: dict[str, list[str]] = json.loads((file.metadata() or {})["ids"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            fix = "delete the cell's folder, and it runs again"
            raise InputError("no trace of an adaptation's epochs", where=str(path), fix=fix) from error
        return cls(ids=ids, log_odds=_under("log_odds/", arrays), features=_under("features/", arrays))


def narrowed(features: NDArray[np.float32]) -> NDArray[np.float16]:
    """(N, D) features as they are kept: projected to ``WIDTH`` where they are wider, and cut at float16's range."""
    if features.shape[1] > WIDTH:
        features = features @ _projection(features.shape[1])
    largest = np.finfo(np.float16).max
    return np.clip(features, -largest, largest).astype(np.float16)


@lru_cache(maxsize=4)
def _projection(width: int) -> NDArray[np.float32]:
    """(width, WIDTH): independent normal entries of variance 1 / WIDTH, the same for ever."""
    entries = generator(0, "projection of features").standard_normal((width, WIDTH)) / np.sqrt(WIDTH)
    projection: NDArray[np.float32] = entries.astype(np.float32)
    return projection


def _below(rows: Mapping[str, NDArray[Float]], row: Mapping[str, NDArray[Float]]) -> dict[str, NDArray[Float]]:
    """The arrays with one more row each; the first row makes them."""
    return {name: np.concatenate([*([rows[name]] if name in rows else []), row[name][None]]) for name in row}


def _under(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

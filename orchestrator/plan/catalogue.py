"""What images there are, as the plan sees them: sets with digests, no pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from orchestrator.plan.cells import Digest, combine
from trainables.contract import Split
from trainables.data.sets import ImageSet
from trainables.errors import InputError, nearest


@dataclass(frozen=True)
class Catalogue:
    """The image sets of a data folder.

    Args:
        sets: one a generator and split.
    """

    sets: tuple[ImageSet, ...]

    def to_json(self) -> list[dict[str, Any]]:
        """Plain JSON values."""
        return [asdict(image_set) for image_set in self.sets]

    @classmethod
    def from_json(cls, values: Sequence[Mapping[str, Any]]) -> Catalogue:
        """The inverse of ``to_json``."""
        return cls(tuple(ImageSet(**{**value, "split": Split(value["split"])}) for value in values))

    @cached_property
    def _by_key(self) -> dict[tuple[str, Split], ImageSet]:
        return {(s.generator, s.split): s for s in self.sets}

    @cached_property
    def fakes(self) -> tuple[str, ...]:
        """Names of the fake generators, sorted."""
        return tuple(sorted({s.generator for s in self.sets if s.label == 1}))

    @cached_property
    def reals(self) -> tuple[str, ...]:
        """Names of the sources of real images, sorted."""
        return tuple(sorted({s.generator for s in self.sets if s.label == 0}))

    def family(self, generator: str) -> str:
        """The family of a generator."""
        return next(s.family for s in self.sets if s.generator == generator)

    def choose(self, chosen: str | Sequence[str], known: Sequence[str], key: str) -> tuple[str, ...]:
        """The names a study means: ``all`` of the known ones, or those listed.

        Raises:
            InputError: a listed name is not in the data; the message gives the nearest names.
        """
        if chosen == "all":
            return tuple(known)
        for name in chosen:
            if name not in known:
                raise InputError("this generator is not in the data", where=key, value=name, fix=nearest(name, known))
        return tuple(chosen)

    def digest(self, generators: Iterable[str], *splits: Split) -> Digest:
        """One digest of the images of these generators in these splits, and of which is which.

        Raises:
            KeyError: a generator has no images in a split; ``expand`` refuses such a study before it asks.
        """
        keys = ((generator, split) for generator in generators for split in splits)
        # Named: images that change places (train and val, real and fake) are other data, though the same images.
        return combine(f"{generator}/{split}:{self._by_key[generator, split].digest}" for generator, split in keys)

    def count(self, generators: Iterable[str], split: Split) -> int:
        """How many images these generators have in a split."""
        return sum(self._by_key[g, split].count for g in generators if (g, split) in self._by_key)

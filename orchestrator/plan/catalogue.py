"""What images there are, as the plan sees them: sets with digests, no pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from orchestrator.plan.cells import Reading, combine
from trainables.contract import Split
from trainables.data.sets import ImageSet
from trainables.errors import InputError, nearest


@dataclass(frozen=True)
class Catalogue:
    """The image sets of a data folder.

    Args:
        sets: one a generator and split.
        manifest: digest of all that is known of the images, those that are left out among them; blank if they are still
            to be made.
    """

    sets: tuple[ImageSet, ...]
    manifest: str = ""

    def to_json(self) -> list[dict[str, Any]]:
        """Plain JSON values."""
        return [asdict(image_set) for image_set in self.sets]

    @classmethod
    def from_json(cls, values: Sequence[Mapping[str, Any]], manifest: str = "") -> Catalogue:
        """The inverse of ``to_json``."""
        return cls(tuple(ImageSet(**{**value, "split": Split(value["split"])}) for value in values), manifest)

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

    def reals_of(self, chosen: str | Sequence[str], fake: str, key: str) -> tuple[str, ...]:
        """The real sources that stand against a fake generator.

        Args:
            chosen: ``all``, names, or ``own``: those that came with the generator's fakes.
            fake: the generator.
            key: the study's key that chose them.

        Raises:
            InputError: a listed name is not in the data; no reals came with this generator.
        """
        if chosen != "own":
            return self.choose(chosen, self.reals, key)
        own = tuple(sorted({s.generator for s in self.sets if s.label == 0 and s.partner == fake}))
        if not own:
            fix = f"write `{key}: all`, or list real sources: {', '.join(self.reals)}"
            raise InputError("no real images came with this generator", where=key, value=fake, fix=fix)
        return own

    def reading(
        self,
        role: str,
        fakes: Sequence[str],
        reals: Sequence[str],
        *splits: Split,
        taken: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
    ) -> Reading:
        """The images of these generators and real sources in these splits, as what they are to a cell.

        Args:
            taken: how many, by split and name, where not all of them.

        Raises:
            KeyError: one has no images in a split; ``expand`` refuses such a study before it asks.
        """
        keys = [(name, split) for name in (*fakes, *reals) for split in splits]
        return self._reading(role, fakes, reals, keys, taken)

    def whole(self, fakes: Sequence[str], reals: Sequence[str]) -> Reading:
        """All images of these generators and real sources, whatever their splits."""
        names = frozenset((*fakes, *reals))
        return self._reading("all", fakes, reals, [key for key in self._by_key if key[0] in names])

    def _reading(
        self,
        role: str,
        fakes: Sequence[str],
        reals: Sequence[str],
        keys: Sequence[tuple[str, Split]],
        taken: Mapping[str, Mapping[str, int]] = MappingProxyType({}),
    ) -> Reading:
        counts, digests = Counter[str](), []
        for name, split in keys:
            images, first = self._by_key[name, split], taken.get(split, {}).get(name)
            counts[name] += images.count if first is None else first
            # Named: images that change places (train and val, real and fake) are other data, though the same images.
            digests.append(f"{name}/{split}:{images.digest}" + ("" if first is None else f":{first}"))
        return Reading(
            role=role,
            fakes={name: counts[name] for name in fakes},
            reals={name: counts[name] for name in reals},
            splits=tuple(split.value for split in Split if any(split is each for _, each in keys)),
            digest=combine(digests),
        )

    def count(self, generators: Iterable[str], split: Split) -> int:
        """How many images these generators have in a split."""
        return sum(self._by_key[g, split].count for g in generators if (g, split) in self._by_key)

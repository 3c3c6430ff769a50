"""Which images are for what: disjoint splits, decided by content."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from trainables.contract import Config, Split, of_preset
from trainables.errors import InputError

PRESETS = {"deepfeaturex": {"train": 0.32, "val": 0.08, "fusion": 0.40, "test": 0.20, "adapt": 0.0, "few": 0.0}}
"""Shares of published protocols: 40 % to train base models on (a fifth of it validates), 40 % for their fusion."""


class Fractions(Config):
    """Shares of the splits of every generator, where its layout does not fix them; or the name of a preset."""

    train: float = Field(default=0.45, ge=0, le=1)
    val: float = Field(default=0.10, ge=0, le=1)
    adapt: float = Field(default=0.20, ge=0, le=1)
    few: float = Field(default=0.05, ge=0, le=1)
    fusion: float = Field(default=0.0, ge=0, le=1)
    test: float = Field(default=0.20, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _of_preset(cls, given: Any) -> Any:
        return of_preset(given, PRESETS, "shares")

    @model_validator(mode="after")
    def _sums_to_one(self) -> Fractions:
        total = sum(getattr(self, split) for split in Split)
        if abs(total - 1) > 1e-6:
            raise InputError("the split fractions must sum to 1", value=round(total, 6))
        return self

    def split_of(self, group: str, among: Sequence[Split] = tuple(Split)) -> Split:
        """The split of all images of a group: a hash of its name, so the same on every machine.

        An image keeps its split when others are added or taken away; the shares hold on average.

        Args:
            group: its name.
            among: the splits it may go to, in proportion to their shares; the first if none of them has any.
        """
        return self.splits_of([group], among)[0]

    def splits_of(self, groups: Sequence[str], among: Sequence[Split] = tuple(Split)) -> list[Split]:
        """The split of each of many groups; see ``split_of``."""
        used = self.given(among)
        shares = [getattr(self, split) for split in used]
        hashes = b"".join(hashlib.sha256(group.encode()).digest()[:8] for group in groups)
        positions = np.frombuffer(hashes, ">u8") / 2.0**64 * math.fsum(shares)
        places = np.searchsorted(np.cumsum(shares), positions, side="right")
        return [used[place] for place in np.minimum(places, len(used) - 1).tolist()]

    def given(self, among: Sequence[Split]) -> tuple[Split, ...]:
        """Those of the splits that have a share, in the order of ``Split``; the first given if none of them has."""
        return tuple(split for split in Split if split in among and getattr(self, split) > 0) or (among[0],)

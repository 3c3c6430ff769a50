"""Which images are for what: five disjoint splits, decided by content."""

from __future__ import annotations

import hashlib

from pydantic import Field, model_validator

from trainables.contract import Config, Split
from trainables.errors import InputError


class Fractions(Config):
    """Shares of the five splits of every generator, for folders whose manifest does not fix them."""

    train: float = Field(default=0.45, ge=0, le=1)
    val: float = Field(default=0.10, ge=0, le=1)
    adapt: float = Field(default=0.20, ge=0, le=1)
    few: float = Field(default=0.05, ge=0, le=1)
    test: float = Field(default=0.20, ge=0, le=1)

    @model_validator(mode="after")
    def _sums_to_one(self) -> Fractions:
        total = sum(getattr(self, split) for split in Split)
        if abs(total - 1) > 1e-6:
            raise InputError("the split fractions must sum to 1", value=round(total, 6))
        return self

    def split_of(self, group: str) -> Split:
        """The split of all images of a group: a hash of its name, so the same on every machine.

        An image keeps its split when others are added or taken away; the shares hold on average.
        """
        position = int.from_bytes(hashlib.sha256(group.encode()).digest()[:8]) / 2**64
        used = [split for split in Split if getattr(self, split) > 0]
        upper = 0.0
        for split in used:
            upper += getattr(self, split)
            if position < upper:
                return split
        return used[-1]

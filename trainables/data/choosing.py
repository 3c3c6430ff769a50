"""Which images of a data folder a study takes, and what it calls their generators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, StringConstraints, model_validator

from trainables.contract import Config, Split
from trainables.errors import InputError
from trainables.indexing.found import PARTS

Family = Literal["real", "gan", "dm", "fake"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=80, strip_whitespace=True)]
Names = Literal["all"] | tuple[Name, ...]


class Choosing(Config):
    """What is taken of one data folder, and under which names; applied in this order.

    Attributes:
        generators: generators and real sources that are taken, by the layout's names.
        channels: channels that are taken.
        smallest, largest: pixels; images with a shorter or longer side beyond them are left out.
        rename: other names for generators and real sources; several with one new name are grouped into one.
        families: the family of generators whose layout does not say it, by their new names.
        limit: images of each generator and real source, at most, in each part that the layout fixes; which ones is
            decided by a hash of their paths alone, so files that cannot be used count too.
        divide: into which splits a part that the layout fixes is divided, in proportion to the study's shares. If not
            given: ``train`` into train and those of val, adapt, few and fusion that the layout does not fix itself;
            ``val`` and ``test`` stay whole.
        unusable: what to do about files that are no usable image: ``refuse`` to start, or ``skip`` them and list
            them in the report. They are never replaced.
    """

    generators: Names = "all"
    channels: Names = "all"
    smallest: PositiveInt | None = None
    largest: PositiveInt | None = None
    rename: Mapping[Name, Name] = Field(default_factory=dict)
    families: Mapping[Name, Family] = Field(default_factory=dict)
    limit: PositiveInt | None = None
    divide: Mapping[Literal["train", "val", "test"], Annotated[tuple[Split, ...], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    unusable: Literal["refuse", "skip"] = "refuse"

    @model_validator(mode="after")
    def _sizes_leave_something(self) -> Choosing:
        if self.smallest and self.largest and self.smallest > self.largest:
            found = f"smallest: {self.smallest}, largest: {self.largest}"
            raise InputError("no image is that small and that large", value=found, fix="swap them")
        return self

    def splits_of(self, part: str, parts: frozenset[str]) -> tuple[Split, ...]:
        """The splits that images of a fixed part are divided into.

        Args:
            part: of the images; blank for none, which may go to every split.
            parts: all fixed parts of their generator.
        """
        if not part:
            return tuple(Split)
        if part not in PARTS:
            return (Split(part),)
        if part in self.divide:
            return self.divide[part]  # type: ignore[index]
        if part != "train":
            return (Split(part),)
        others = (Split.VAL, Split.ADAPT, Split.FEW, Split.FUSION)
        return (Split.TRAIN, *(split for split in others if split not in parts))

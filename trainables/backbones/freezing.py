"""How much of a detector is trained: S4's axis, from the head alone to everything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from trainables.errors import InputError

if TYPE_CHECKING:
    from trainables.detector import Detector


def _known(trainable: str) -> str:
    if trainable == "none":
        fix = "write `head`, or choose a detector whose head is solved"
        raise InputError("a training must have something to train", value=trainable, fix=fix)
    if not re.fullmatch(r"all|head|last:[1-9]\d*", trainable):
        fix = "write `all`, `head`, or `last:2` for the head and the two blocks before it"
        raise InputError("no such part of a detector", value=trainable, fix=fix)
    return trainable


Trainable = Annotated[str, AfterValidator(_known)]
"""``all``, ``head``, or ``last:k``: the head and so many blocks before it, as ``trainables.blocks`` counts them."""


def last_blocks(trainable: str) -> int | None:
    """How many blocks before the head are trained: 0 for ``head``, None for ``all``."""
    if trainable == "all":
        return None
    return int(trainable.removeprefix("last:")) if trainable != "head" else 0


def freeze(detector: Detector, trainable: str) -> None:
    """Make the parameters want gradients that are trained, and no others.

    A part none of whose parameters is trained stands still as a whole: ``trainables.freezing.train_mode``.

    Raises:
        InputError: the detector has not so many blocks.
    """
    from trainables.blocks import deepest

    count = last_blocks(trainable)
    if count is None:
        return
    trained = {id(parameter) for parameter in deepest(detector, count)}
    for parameter in detector.parameters():
        parameter.requires_grad_(id(parameter) in trained)
